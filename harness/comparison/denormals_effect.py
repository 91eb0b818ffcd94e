"""Says what flushing denormal numbers to zero gains: one network timed both ways."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from facebench.harness.machine.flushing import FLUSHED, KEPT
from facebench.harness.records.case import Case
from facebench.harness.records.latency import Latency
from facebench.harness.records.record import Record
from facebench.harness.stats.ratios import log_ratio


@dataclass(frozen=True)
class DenormalsEffect:
    """It is a case timed with denormal numbers kept, and flushed.

    Attributes:
        case: with what becomes of denormal numbers left empty.
        kept_ms: the median time where they are kept.
        flushed_ms: the same where they are flushed.
        speedup: the first over the second, by the geometric means of processes' medians.
        interval: 95 % interval of that, over processes; None where either had only one.
    """

    case: Case
    kept_ms: float
    flushed_ms: float
    speedup: float
    interval: tuple[float, float] | None

    @property
    def faster(self) -> bool:
        """Say whether flushing is shown to gain anything."""
        return self.interval is not None and self.interval[0] > 1


def effects(records: Sequence[Record]) -> list[DenormalsEffect]:
    """Return one for each two latencies that differ in what becomes of denormal numbers alone."""
    timed: dict[Case, dict[str, Latency]] = {}
    for record in records:
        if isinstance(record.result, Latency) and record.case.denormals:
            both = timed.setdefault(replace(record.case, denormals=""), {})
            both[record.case.denormals] = record.result
    return [
        _effect(case, both[KEPT], both[FLUSHED]) for case, both in timed.items() if len(both) == 2
    ]


def _effect(case: Case, kept: Latency, flushed: Latency) -> DenormalsEffect:
    before, after = _medians(kept), _medians(flushed)
    interval = None
    if min(len(before), len(after)) > 1:
        low, high = log_ratio(after, before).interval()
        interval = float(low), float(high)
    speedup = statistics.geometric_mean(before) / statistics.geometric_mean(after)
    return DenormalsEffect(case, kept.median_ms, flushed.median_ms, float(speedup), interval)


def _medians(latency: Latency) -> list[float]:
    return [float(np.median(samples)) for samples in latency.by_process]
