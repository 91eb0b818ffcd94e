"""What tuning prints while it goes on: the workload in hand, and the best so far."""

from __future__ import annotations

from types import TracebackType

from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from facebench.harness.cli.output.terminal import err
from facebench.harness.compiler.records import TuningRecord


class TuneProgress:
    """A bar of trials with the best so far; a line a workload where there is no terminal.

    Args:
        target: that is tuned for.
        workloads: how many there are.
        trials: of each.
    """

    def __init__(self, target: str, workloads: int, trials: int) -> None:
        self._workloads = workloads
        self._trials = trials
        self._done = 0
        self._bar = Progress(
            TextColumn("[progress.description]{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[newest]}"),
            console=err,
            disable=not err.is_terminal,
        )
        self._task = self._bar.add_task(target, total=workloads * trials, newest="")

    def __enter__(self) -> TuneProgress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def trying(self, name: str, tried: int, best: float, scheduled: float, unit: str) -> None:
        """Show how far a workload's search is."""
        found = f": {in_words(best, unit)}, {against(best, scheduled)} so far"
        line = f"{self._done + 1}/{self._workloads} {name}{found}"
        completed = self._done * self._trials + min(tried, self._trials)
        self._bar.update(self._task, completed=completed, newest=escape(line))

    def tuned(self, name: str, record: TuningRecord) -> None:
        """Show what a workload's search found."""
        cost = in_words(record.cost, record.unit)
        self._next(f"{name}: {cost}, {against(record.cost, record.scheduled)}")

    def failed(self, name: str, reason: str) -> None:
        """Show why a workload has no record."""
        self._next(f"{name}: {reason}")

    def warn(self, sentence: str) -> None:
        """Say what went wrong and was put right."""
        err.print(sentence, markup=False, soft_wrap=True)

    def _next(self, found: str) -> None:
        self._done += 1
        line = f"{self._done}/{self._workloads} {found}"
        self._bar.update(self._task, completed=self._done * self._trials, newest=escape(line))
        if not err.is_terminal:
            err.print(line, markup=False, soft_wrap=True)


def in_words(cost: float, unit: str) -> str:
    """A cost with its unit."""
    return f"{cost * 1e6:.1f} us" if unit == "seconds" else f"{cost:,.0f} {unit}"


def against(cost: float, scheduled: float) -> str:
    """How much cheaper than the model's choice."""
    if cost >= scheduled:
        return "the model's choice"
    return f"{100 * (1 - cost / scheduled):.0f} % under the schedule"
