"""Scores on the same pairs, compared with one record: networks, and runs of one network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import pandas as pd

from facebench.architectures.errors import BadInputError
from facebench.harness.comparison.pair_agreement import PairAgreement, agreements
from facebench.harness.records.record import Record
from facebench.harness.verification.paired import holm
from facebench.reports.evidence import BASELINE, Evidence, representative_score
from facebench.reports.scores import Scored, scored
from facebench.reports.tables import CellValue, frame


@dataclass(frozen=True, eq=False)
class Against:
    """It is a record compared with the first one of its family; no agreement for a `reason`."""

    record: Record
    agreement: PairAgreement | None
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Family:
    """Comparisons with one record that are tested together.

    Attributes:
        dataset: of the pairs.
        label: what the dataset can say; empty for real faces.
        pairs: how many.
        first: what the others are compared with.
        others: each compared with `first`; p-values are corrected over them.
        same_network: whether all are runs of one network with the same weights.
    """

    dataset: str
    label: str
    pairs: int
    first: Record
    others: tuple[Against, ...]
    same_network: bool


# The section and the file ask for the same.
@lru_cache(maxsize=1)
def families(evidence: Evidence) -> tuple[Family, ...]:
    """Compare on each dataset's pairs: networks against the baseline; then runs of each network."""
    groups: dict[tuple[str, str], list[Scored]] = {}
    for one in scored(evidence.scores):
        groups.setdefault((one.record.case.dataset, one.pairs.digest), []).append(one)
    return tuple(family for group in groups.values() for family in _families(group))


def paired_frame(evidence: Evidence) -> pd.DataFrame:
    """Return all comparisons, in full precision."""
    return frame(_flat(family, other) for family in families(evidence) for other in family.others)


def _families(group: Sequence[Scored]) -> list[Family]:
    subjects: dict[tuple[str, str], list[Record]] = {}
    for one in group:
        case = one.record.case
        subjects.setdefault((case.network, case.weights), []).append(one.record)
    first = _baseline([one.record for one in group])
    leaders = [_leader(records, first) for records in subjects.values()]
    made = [_family(group[0], first, leaders, same_network=False)]
    for leader, records in zip(leaders, subjects.values(), strict=True):
        made.append(_family(group[0], leader, records, same_network=True))
    return [family for family in made if family.others]


def _baseline(records: Sequence[Record]) -> Record:
    of_baseline = [record for record in records if record.case.network == BASELINE]
    return representative_score(of_baseline) or records[0]


def _leader(records: Sequence[Record], first: Record) -> Record:
    """Return the run that speaks for a network: tested as the baseline was, as far as there is
    one.
    """
    wanted = first.case.flip, first.case.precision, first.case.runtime
    alike = [r for r in records if (r.case.flip, r.case.precision, r.case.runtime) == wanted]
    return first if first in records else representative_score(alike or records) or records[0]


def _family(one: Scored, first: Record, records: Sequence[Record], *, same_network: bool) -> Family:
    found = [_against(first, record) for record in records if record is not first]
    known = [other.agreement for other in found if other.agreement]
    corrected = iter(holm([agreement.paired.p_value for agreement in known]))
    others = [
        replace(other, agreement=replace(other.agreement, adjusted_p=next(corrected)))
        if other.agreement
        else other
        for other in found
    ]
    return Family(
        one.record.case.dataset,
        one.accuracy.label,
        len(one.pairs),
        first,
        tuple(others),
        same_network,
    )


def _against(first: Record, record: Record) -> Against:
    try:
        (agreement,) = agreements([first, record])
    except BadInputError as error:
        return Against(record, None, str(error))
    return Against(record, agreement)


def _flat(family: Family, other: Against) -> dict[str, CellValue]:
    first, second, one = family.first.case, other.record.case, other.agreement
    line: dict[str, CellValue] = {
        "dataset": family.dataset,
        "first_network": first.network,
        "first_weights": first.weights,
        "first_runtime": first.runtime,
        "first_precision": first.precision,
        "network": second.network,
        "weights": second.weights,
        "runtime": second.runtime,
        "precision": second.precision,
        "compared": len(family.others),
        "pairs": family.pairs,
        "label": family.label,
        "kind": other.record.kind,
        "status": "ok" if one else "refused",
        "reason": other.reason,
    }
    if one is None:
        return line
    return line | {
        "difference": one.paired.difference,
        "difference_low": one.paired.interval[0],
        "difference_high": one.paired.interval[1],
        "intervals_over": one.over,
        "people": one.paired.people,
        "only_first": one.paired.only_first,
        "only_second": one.paired.only_second,
        "p_value": one.paired.p_value,
        "p_value_holm": one.adjusted_p,
        "p_value_mcnemar": one.paired.mcnemar,
        "changed": one.changed,
        "verdict": one.verdict,
    }
