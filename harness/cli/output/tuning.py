"""Prints how a tuning goes on: the workload in hand, and the best so far."""

from __future__ import annotations

from facebench.harness.cli.output.progress import Bar
from facebench.harness.compiler.records import TuningRecord
from facebench.harness.tuning.listener import TuningListener


class TuneProgress(Bar, TuningListener):
    """Trials, with the best so far; a line a workload where there is no bar.

    Args:
        target: that is tuned for.
        workloads: how many there are.
        trials: of each.
    """

    def __init__(self, target: str, workloads: int, trials: int) -> None:
        super().__init__(target)
        self._workloads = workloads
        self._trials = trials
        self._done = 0
        self._show(0)

    def trying(self, name: str, tried: int, best: float, scheduled: float, unit: str) -> None:
        """See `TuningListener`."""
        found = f": {in_words(best, unit)}, {against(best, scheduled)} so far"
        self._show(min(tried, self._trials))
        self.newest(f"{self._done + 1}/{self._workloads} {name}{found}")

    def tuned(self, name: str, record: TuningRecord) -> None:
        """See `TuningListener`."""
        cost = in_words(record.cost, record.unit)
        self._next(f"{name}: {cost}, {against(record.cost, record.scheduled)}")

    def failed(self, name: str, reason: str) -> None:
        """See `TuningListener`."""
        self._next(f"{name}: {reason}")

    def _next(self, found: str) -> None:
        self._done += 1
        self._show(0)
        line = f"{self._done}/{self._workloads} {found}"
        self.newest(line)
        self.line(line)

    def _show(self, tried: int) -> None:
        self.at(self._done * self._trials + tried, self._workloads * self._trials)


def in_words(cost: float, unit: str) -> str:
    """Return a cost with its unit."""
    return f"{cost * 1e6:.1f} us" if unit == "seconds" else f"{cost:,.0f} {unit}"


def against(cost: float, scheduled: float) -> str:
    """Return how much cheaper than the model's choice."""
    if cost >= scheduled:
        return "the model's choice"
    return f"{100 * (1 - cost / scheduled):.0f} % under the schedule"
