"""Relates what fewer bits save to what they cost: time and size against accuracy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from facebench.architectures.errors import BadInputError
from facebench.harness.comparison.pair_agreement import PairAgreement, agreements
from facebench.harness.records.record import Record
from facebench.reports.comparison import THREADS
from facebench.reports.digits import Estimate
from facebench.reports.environments import another_machine, differences
from facebench.reports.evidence import Evidence, real_faces, representative_score
from facebench.reports.tables import LatencyRow
from facebench.reports.time_ratios import time_ratio
from facebench.reports.trade_off import real_dataset

WIDE = "fp32"


@dataclass(frozen=True, eq=False)
class FewerBits:
    """It is a network in a runtime, in fewer bits than single precision.

    Attributes:
        row: its time.
        wide: the time of the same weights in single precision.
        speed_up: how many times less time it takes, with its interval.
        accuracy: both scores compared pair by pair on real faces; None where there are not both.
    """

    row: LatencyRow
    wide: LatencyRow
    speed_up: Estimate
    accuracy: PairAgreement | None

    @property
    def pays(self) -> str:
        """Return what the interval of the times says: `yes`, `no` or `not decidable`."""
        if self.speed_up.low > 1:
            return "yes"
        return "no" if self.speed_up.high < 1 else "not decidable"

    @property
    def sizes(self) -> tuple[int, int] | None:
        """Return the bytes on disk, before and after; None where a record does not tell them."""
        found = [row.record.provenance.get("artifact_bytes") for row in (self.wide, self.row)]
        return (int(found[0]), int(found[1])) if found[0] and found[1] else None


def fewer_bits(evidence: Evidence) -> list[FewerBits]:
    """Return all that was timed in fewer bits and in single precision: one thread, one image."""
    dataset = real_dataset(evidence) or ""
    found = []
    for row in evidence.latencies:
        setting = row.setting
        if setting.precision == WIDE or not row.ranked or setting.threads != THREADS:
            continue
        wide = next(_wide(evidence, row), None)
        if wide is not None:
            accuracy = _compared(evidence, wide, row, dataset)
            found.append(FewerBits(row, wide, time_ratio(wide.record, row.record), accuracy))
    return found


def _wide(evidence: Evidence, row: LatencyRow) -> Iterator[LatencyRow]:
    """Yield times of the same weights, conditions and machine in single precision."""
    for one in evidence.timed(row.network, replace(row.setting, precision=WIDE)):
        found = differences(one.record.environment, row.record.environment)
        if one.weights == row.weights and one.ranked and not another_machine(found):
            yield one


def _compared(
    evidence: Evidence, wide: LatencyRow, row: LatencyRow, dataset: str
) -> PairAgreement | None:
    """Return the two scores compared; where there are two, and of the same pairs."""
    scores = [_score(evidence, one, dataset) for one in (wide, row)]
    if scores[0] is None or scores[1] is None:
        return None
    try:
        (found,) = agreements([scores[0], scores[1]])
    except BadInputError:
        return None
    return found


def _score(evidence: Evidence, row: LatencyRow, dataset: str) -> Record | None:
    """Return the score of what was timed, in its own runtime if it was scored there.

    In fewer bits no other runtime's score speaks for it: runtimes round otherwise.
    """
    same = [
        record
        for record in evidence.scores
        if real_faces(record)
        and (record.case.network, record.case.weights, record.case.precision, record.case.dataset)
        == (row.network, row.weights, row.setting.precision, dataset)
    ]
    here = [record for record in same if record.case.runtime == row.setting.runtime]
    return representative_score(here if row.setting.precision != WIDE else here or same)
