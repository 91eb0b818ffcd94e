"""Says what flushing denormal numbers to zero gains: one network timed both ways."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from facebench.harness.comparison.job_spread import known_spread
from facebench.harness.machine.flushing import FLUSHED, KEPT
from facebench.harness.measures.validity import disturbances
from facebench.harness.records.case import Case
from facebench.harness.records.latency import Latency
from facebench.harness.records.record import Record
from facebench.harness.runs import long_run
from facebench.harness.stats.procedures import procedure
from facebench.harness.stats.ratios import LogRatio, log_ratio, log_ratio_between_jobs

_ONE_PROCESS = (
    "one process each cannot say how much of the difference is chance: use --processes 2 or more"
)


@dataclass(frozen=True)
class DenormalsEffect:
    """It is a case timed with denormal numbers kept, and flushed.

    Attributes:
        case: with what becomes of denormal numbers left empty.
        kept_ms: the median time where they are kept.
        flushed_ms: the same where they are flushed.
        speedup: the first over the second, by the geometric means of processes' medians.
        interval: 95 % interval of that, over processes, and over runs where the two times are
            of two; None where there is none, for `reason`.
        reason: why there is none.
    """

    case: Case
    kept_ms: float
    flushed_ms: float
    speedup: float
    interval: tuple[float, float] | None
    reason: str = ""

    @property
    def faster(self) -> bool:
        """Say whether flushing is shown to gain anything."""
        return self.interval is not None and self.interval[0] > 1


def effects(records: Sequence[Record]) -> list[DenormalsEffect]:
    """Return one for each two latencies that differ in what becomes of denormal numbers alone."""
    timed: dict[Case, dict[str, Record]] = {}
    for record in records:
        if isinstance(record.result, Latency) and record.case.denormals:
            both = timed.setdefault(replace(record.case, denormals=""), {})
            both[record.case.denormals] = record
    return [effect(both[KEPT], both[FLUSHED]) for both in timed.values() if len(both) == 2]


@procedure("gain of flushing")
def effect(kept: Record, flushed: Record) -> DenormalsEffect:
    """Return what flushing gains, from the times with denormal numbers kept and flushed."""
    before, after = _medians(kept), _medians(flushed)
    reason = _ONE_PROCESS if min(len(before), len(after)) < 2 else _disturbed(kept, flushed)
    interval = None
    if not reason:
        low, high = _ratio(kept, flushed).interval()
        interval = float(low), float(high)
    return DenormalsEffect(
        case=replace(kept.case, denormals=""),
        kept_ms=_latency(kept).median_ms,
        flushed_ms=_latency(flushed).median_ms,
        speedup=statistics.geometric_mean(before) / statistics.geometric_mean(after),
        interval=interval,
        reason=reason,
    )


def _ratio(kept: Record, flushed: Record) -> LogRatio:
    before, after = _medians(kept), _medians(flushed)
    if long_run.of_one_run(kept, flushed):
        return log_ratio(after, before)
    known = known_spread((long_run.of(kept), long_run.of(flushed)))
    return log_ratio_between_jobs([after], [before], known.spread, known.degrees)


def _disturbed(*records: Record) -> str:
    if not (seen := disturbances(*records)):
        return ""
    return (
        f"the machine was disturbed ({', '.join(seen)}: no), and what that does to a time has no "
        "bound: measure again when it is quiet"
    )


def _medians(record: Record) -> list[float]:
    return [float(np.median(samples)) for samples in _latency(record).by_process]


def _latency(record: Record) -> Latency:
    assert isinstance(record.result, Latency)
    return record.result
