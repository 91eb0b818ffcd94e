"""Who is told how tuning goes."""

from __future__ import annotations

from facebench.harness.compiler.records import TuningRecord
from facebench.harness.storage.progress import Progress


class TuningListener(Progress):
    """Who is told how far tuning is, and of kernels that are wrong and not used."""

    def trying(self, name: str, tried: int, best: float, scheduled: float, unit: str) -> None:
        """Take note of how far a workload's search is.

        Args:
            name: of the workload.
            tried: tilings so far.
            best: the lowest cost so far.
            scheduled: that of the model's choice.
            unit: of both.
        """

    def tuned(self, name: str, record: TuningRecord) -> None:
        """Take note of a workload that has its record."""

    def failed(self, name: str, reason: str) -> None:
        """Take note of a workload that has none."""
