"""Relates two times, with all that their own intervals do not know: processes, jobs, disturbances.

Every ratio of times of a report comes from here, so that none says more than another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy.special import ndtri, stdtrit

from facebench.harness.comparison.job_spread import known_spread
from facebench.harness.measures.doubt import doubts, worst
from facebench.harness.records.latency import Latency
from facebench.harness.records.record import Record
from facebench.harness.runs import long_run
from facebench.harness.stats.procedures import procedure
from facebench.harness.stats.ratios import PROCESS_SPREAD
from facebench.reports.digits import Estimate, ratio, widened
from facebench.reports.tables import LatencyRow


@procedure("ratio of times")
def time_ratio(one: Record, other: Record, confidence: float = 0.95) -> Estimate:
    """Return the ratio of two median times, with the interval that holds it with `confidence`.

    What disturbed either is not in it: see `undisturbed`.

    Args:
        one: with a latency.
        other: likewise.
        confidence: 0 to 1.
    """
    return beyond(ratio(*(_median(record, confidence) for record in (one, other))), one, other,
                  confidence)  # fmt: skip


def beyond(estimate: Estimate, one: Record, other: Record, confidence: float = 0.95) -> Estimate:
    """Return a ratio made from two times' intervals, with what these do not know added.

    That is how much processes differ, of a time that one process gave; and how much jobs do,
    of times of two.
    """
    single = sum(
        isinstance(record.result, Latency) and len(record.result.by_process) < 2
        for record in (one, other)
    )
    tail = (1 + confidence) / 2
    processes = float(ndtri(tail)) * PROCESS_SPREAD * math.sqrt(single)
    if long_run.of_one_run(one, other):
        return widened(estimate, processes)
    known = known_spread((long_run.of(one), long_run.of(other)))
    jobs = float(stdtrit(known.degrees, tail)) * known.spread * math.sqrt(2)
    return widened(estimate, math.hypot(processes, jobs))


def undisturbed(estimate: Estimate, one: Record, other: Record) -> Estimate | None:
    """Return a ratio with what conditions that did not hold may have done to each time.

    None where that has no bound.
    """
    (shorter, longer), (below, above) = (worst(doubts(record)) for record in (one, other))
    if math.inf in (shorter, longer, below, above):
        return None
    return Estimate(
        estimate.value, estimate.low / (shorter * above), estimate.high * longer * below
    )


@procedure("fastest")
def fastest(rows: Sequence[LatencyRow]) -> LatencyRow | None:
    """Return the row that is shown to be faster than each of the others, if there is one.

    Rows that may not be ranked are left out; one row alone is not the fastest
    of anything.
    """
    ranked = sorted((row for row in rows if row.ranked), key=_value)
    if len(ranked) < 2:
        return None
    first, *others = ranked
    return first if all(_faster(first.record, row.record) for row in others) else None


def not_slower(rows: Sequence[LatencyRow]) -> list[LatencyRow]:
    """Return the rows that are not shown to be slower than the one of the least time; it is first.

    Rows that may not be ranked are left out.
    """
    ranked = sorted((row for row in rows if row.ranked), key=_value)
    return [row for row in ranked if row is ranked[0] or not _faster(ranked[0].record, row.record)]


def _faster(one: Record, other: Record) -> bool:
    found = undisturbed(time_ratio(one, other), one, other)
    return found is not None and found.high < 1


def _median(record: Record, confidence: float) -> Estimate:
    result = record.result
    assert isinstance(result, Latency)
    return Estimate(result.median_ms, *result.interval_at(confidence))


def _value(row: LatencyRow) -> float:
    assert row.median is not None
    return row.median.value
