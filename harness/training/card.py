"""Model cards: what trained weights are, and what they are not for, from their metadata."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from facebench.harness.storage.serialization import convert
from facebench.harness.training.recipe import NO_LOSS

CARD = "card.md"

Interval = tuple[float, float]


@dataclass(frozen=True)
class _Taught:
    name: str
    optimizer: str
    learning_rate: float
    schedule: str
    batch: int
    epochs: float
    precision: str
    loss: str
    teacher_weight: float
    scale: float | None = None
    margin: float | None = None


@dataclass(frozen=True)
class _TaughtBy:
    name: str
    weights: str


@dataclass(frozen=True)
class _TrainedRun:
    network: str
    seed: int
    data: str
    recipe: _Taught
    # A list where there are several.
    teacher: _TaughtBy | tuple[_TaughtBy, ...] | None

    @property
    def teachers(self) -> tuple[_TaughtBy, ...]:
        if self.teacher is None:
            return ()
        return self.teacher if isinstance(self.teacher, tuple) else (self.teacher,)


@dataclass(frozen=True)
class _TrueRate:
    tar: float
    interval: Interval | None


@dataclass(frozen=True)
class _CardScore:
    pairs: int
    accuracy: float
    standard_error: float
    folds: int
    tar: dict[str, _TrueRate]
    eer: float
    eer_interval: Interval | None
    label: str = ""


@dataclass(frozen=True)
class _CardVersions:
    facebench: str
    torch: str


@dataclass(frozen=True)
class _CardFacts:
    """They are what a card tells of a file's metadata, which may be anybody's."""

    run: _TrainedRun
    images: int
    people: int
    iterations: int
    processes: int
    device: str
    scores: dict[str, _CardScore]
    licence: str
    versions: _CardVersions
    precision: str = ""
    teacher_licences: tuple[str, ...] = ()


def card(facts: dict[str, Any]) -> str:
    """Return Markdown of what `weights.facts` gives.

    Raises:
        BadInputError: they are not what a training of this project writes.
    """
    told = convert(facts, _CardFacts, extra=True)
    parts = [
        f"# {told.run.network}",
        f"Trained by facebench {told.versions.facebench} with torch {told.versions.torch} on "
        f"{_counted(told.processes, told.device)}, seed {told.run.seed}.",
        "\n".join(f"- **{name}**: {text}" for name, text in _rows(told)),
        "## Scores",
        "\n\n".join(_score(name, score) for name, score in told.scores.items())
        or "None: `facebench verify` scores them.",
        "## Not for",
        told.licence,
    ]
    return "\n\n".join(parts) + "\n"


def _rows(told: _CardFacts) -> Iterator[tuple[str, str]]:
    run, recipe = told.run, told.run.recipe
    yield (
        "Data",
        f"{told.images:,} images of {told.people:,} people (SHA-256 of the list {run.data[:16]}…)",
    )
    yield (
        "Recipe",
        f"{recipe.name}: {recipe.optimizer}, learning rate {recipe.learning_rate:g}, "
        f"{recipe.schedule}, batches of {recipe.batch}, {recipe.epochs:g} epochs, "
        f"{told.iterations:,} steps, {told.precision or recipe.precision}",
    )
    if recipe.loss != NO_LOSS:
        given = (("scale", recipe.scale), ("margin", recipe.margin))
        yield (
            "Loss",
            ", ".join([recipe.loss, *(f"{key} {one:g}" for key, one in given if one is not None)]),
        )
    yield from _teachers(told)


def _teachers(told: _CardFacts) -> Iterator[tuple[str, str]]:
    """Yield a row of each teacher, and one of what is learned from several."""
    taught = f"weight {told.run.recipe.teacher_weight:g}, 1 − cosine of the embeddings"
    teachers = told.run.teachers
    # Weights of before licences were told have none.
    licences = [*told.teacher_licences, *[""] * len(teachers)]
    for teacher, licence in zip(teachers, licences, strict=False):
        text = f"{teacher.name} ({teacher.weights[:23]}…)"
        text = f"{text}, {taught}" if len(teachers) == 1 else text
        yield "Teacher", f"{text}; its licence: {licence}" if licence else text
    if len(teachers) > 1:
        yield "Together", f"{taught}, which are the teachers' put together"


def _score(name: str, score: _CardScore) -> str:
    label = f" ({score.label})" if score.label else ""
    lines = [
        f"**{name}**{label}, {score.pairs:,} pairs:\n",
        f"- accuracy {score.accuracy:.2%} (standard error {score.standard_error:.2%} over "
        f"{score.folds} folds)",
    ]
    for rate, found in score.tar.items():
        lines.append(f"- TAR {found.tar:.2%} at FAR {rate}, {_interval(found.interval)}")
    lines.append(f"- EER {score.eer:.2%}, {_interval(score.eer_interval)}")
    return "\n".join(lines)


def _interval(ends: Interval | None) -> str:
    if ends is None:
        return "without an interval"
    low, high = ends
    return f"95 % interval {low:.2%} to {high:.2%}"


def _counted(processes: int, device: str) -> str:
    where = "one CPU machine" if device == "cpu" else "one GPU"
    return where if processes == 1 else f"{processes} processes ({device})"
