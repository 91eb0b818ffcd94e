"""Model cards: what trained weights are, and what they are not for, from their metadata."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from facebench.harness.training.recipe import NO_LOSS

CARD = "card.md"


def card(facts: dict[str, Any]) -> str:
    """Return Markdown of what `weights.facts` gives.

    Raises:
        KeyError: they are not what a training of this project writes.
    """
    run = facts["run"]
    parts = [
        f"# {run['network']}",
        f"Trained by facebench {facts['versions']['facebench']} with torch "
        f"{facts['versions']['torch']} on {_counted(facts['processes'], facts['device'])}, "
        f"seed {run['seed']}.",
        "\n".join(f"- **{name}**: {text}" for name, text in _rows(facts)),
        "## Scores",
        "\n\n".join(_score(name, score) for name, score in facts["scores"].items())
        or "None: `facebench verify` scores them.",
        "## Not for",
        facts["licence"],
    ]
    return "\n\n".join(parts) + "\n"


def _rows(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    run, recipe = facts["run"], facts["run"]["recipe"]
    yield (
        "Data",
        f"{facts['images']:,} images of {facts['people']:,} people (SHA-256 of the list "
        f"{run['data'][:16]}…)",
    )
    yield (
        "Recipe",
        f"{recipe['name']}: {recipe['optimizer']}, learning rate {recipe['learning_rate']:g}, "
        f"{recipe['schedule']}, batches of {recipe['batch']}, {recipe['epochs']:g} epochs, "
        f"{facts['iterations']:,} steps, {recipe['precision']}",
    )
    if recipe["loss"] != NO_LOSS:
        given = [f"{key} {recipe[key]:g}" for key in ("scale", "margin") if recipe[key] is not None]
        yield "Loss", ", ".join([recipe["loss"], *given])
    if run["teacher"]:
        yield (
            "Teacher",
            f"{run['teacher']['name']} ({run['teacher']['weights'][:23]}…), weight "
            f"{recipe['teacher_weight']:g}, 1 − cosine of the embeddings",
        )


def _score(name: str, score: dict[str, Any]) -> str:
    label = f" ({score['label']})" if score["label"] else ""
    lines = [
        f"**{name}**{label}, {score['pairs']:,} pairs:\n",
        f"- accuracy {score['accuracy']:.2%} ± {score['standard_error']:.2%} (standard error over "
        f"{score['folds']} folds)",
    ]
    for rate, found in score["tar"].items():
        lines.append(f"- TAR {found['tar']:.2%} at FAR {rate}, {_interval(found['interval'])}")
    lines.append(f"- EER {score['eer']:.2%}, {_interval(score['eer_interval'])}")
    return "\n".join(lines)


def _interval(ends: list[float]) -> str:
    low, high = ends
    return f"95 % interval {low:.2%} to {high:.2%}"


def _counted(processes: int, device: str) -> str:
    where = "one CPU machine" if device == "cpu" else "one GPU"
    return where if processes == 1 else f"{processes} processes ({device})"
