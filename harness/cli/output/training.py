"""What training prints when it is done: files with their scores, and means over seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facebench.harness.cli.output import terminal

if TYPE_CHECKING:  # loads torch
    from facebench.harness.training.training_run import TrainingOutcome


def show(outcome: TrainingOutcome, as_json: bool) -> None:
    """Print what was trained."""
    if as_json:
        terminal.as_json([{"path": str(one.path), **one.facts} for one in outcome.trained])
        return
    for line in lines(outcome):
        terminal.out.print(line, markup=False, highlight=False, soft_wrap=True)


def lines(outcome: TrainingOutcome) -> list[str]:
    """Each file with its scores; then each network's mean over seeds with its 95 % interval."""
    files = []
    for one in outcome.trained:
        scores = ", ".join(
            f"{dataset} {score['accuracy']:.2%} ± {score['standard_error']:.2%}"
            for dataset, score in one.facts["scores"].items()
        )
        files.append(f"{one.path}: {scores}" if scores else str(one.path))
    means = [
        f"{mean.network}: {mean.dataset} {mean.accuracy:.2%} ± {mean.reach:.2%} "
        f"(95 % interval over {mean.seeds} seeds)"
        for mean in outcome.means()
    ]
    return files + means
