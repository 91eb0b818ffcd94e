"""Prints the end of a training: files with their scores, and means over seeds."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from facebench.harness.cli.output import terminal
from facebench.harness.cli.output.progress import Bar
from facebench.harness.training.log import LogRow, TrainingListener

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
    """Return each file with its scores; then each network's mean over seeds with its 95 %
    interval.
    """
    files = []
    for one in outcome.trained:
        scores = ", ".join(
            f"{dataset} {score['accuracy']:.2%} (standard error {score['standard_error']:.2%})"
            for dataset, score in one.facts["scores"].items()
        )
        files.append(f"{one.path}: {scores}" if scores else str(one.path))
    means = [
        f"{mean.network}: {mean.dataset} {mean.accuracy:.2%} ({{:.2%}} to {{:.2%}}, ".format(
            *mean.interval
        )
        + f"the 95 % interval over {mean.seeds} seeds on these faces)"
        for mean in outcome.means()
    ]
    return files + means


class TrainingProgress(Bar, TrainingListener):
    """How far runs are, with the newest figures."""

    def __init__(self, shown: bool) -> None:
        super().__init__(shown=shown)

    def of(self, run: str) -> TrainingListener:
        """See `TrainingListener`."""
        return _RunProgress(self, run)


class _RunProgress(TrainingListener):
    """Shows one run, by its name; a line now and then where there is no bar."""

    _EVERY = 10  # rows of the log to a line

    def __init__(self, bar: Bar, name: str) -> None:
        self._bar = bar
        self._name = name
        self._rows = 0
        self._first = (0, 0.0)  # the step of the first row, and when it came

    def say(self, sentence: str) -> None:
        """See `Progress`."""
        self._bar.say(f"{self._name}: {sentence}")

    def row(self, row: LogRow, steps: int) -> None:
        """See `TrainingListener`."""
        figures = (
            f"loss {row.loss:.4f}  rate {row.learning_rate:.2g}  "
            f"{row.images_per_second:,.0f} images/s  waits {row.waiting_share:.1%}"
        )
        self._bar.at(row.step, steps, self._name)
        self._bar.newest(figures)
        self._rows += 1
        if self._rows % self._EVERY == 1 or row.step == steps:
            left = self._left(row.step, steps)
            self._bar.line(f"{self._name} [{row.step:,}/{steps:,}] {figures}{left}")

    def _left(self, step: int, steps: int) -> str:
        """Say how long the rest takes, at the pace since the first row; nothing at that."""
        now = time.monotonic()
        if not self._first[0]:
            self._first = step, now
        done = step - self._first[0]
        if not done or step >= steps:
            return ""
        minutes = math.ceil((now - self._first[1]) / done * (steps - step) / 60)
        return f"  about {minutes} min left"
