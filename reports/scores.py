"""Computes what scores of pairs add to a record, and chooses which records curves show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from facebench.architectures.errors import BadInputError
from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.pair_scores import PairScores
from facebench.harness.records.record import Record
from facebench.harness.verification.summary import Summary, summarise
from facebench.reports.evidence import Evidence, representative_score

NO_SCORES = (
    "the record holds no scores of pairs (schema 1): the figures that need them are missing until "
    "it is scored anew"
)


@dataclass(frozen=True, eq=False)
class Scored:
    """A record of accuracy that holds a score for each pair."""

    record: Record
    accuracy: Accuracy
    pairs: PairScores


@dataclass(frozen=True)
class Summarised:
    """The summary of a record's scores, or why there is none."""

    summary: Summary | None
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Curves:
    """It is one record for each network, all of one dataset.

    Attributes:
        dataset: its name.
        label: what the dataset can say; empty for real faces.
        scored: the records, networks in the order of the report.
    """

    dataset: str
    label: str
    scored: tuple[Scored, ...]


def scored(records: Iterable[Record]) -> list[Scored]:
    """Return those of the records that hold scores."""
    return [
        Scored(record, record.result, record.result.scores)
        for record in records
        if record.status == "ok"
        and isinstance(record.result, Accuracy)
        and record.result.scores is not None
    ]


def summarised(score: Accuracy) -> Summarised:
    """Return rates and intervals of the scores; each is computed once a process."""
    if score.scores is None:
        return Summarised(None, NO_SCORES)
    return _summarised(score.scores)


@lru_cache(maxsize=1)
def curves(evidence: Evidence) -> Curves | None:
    """Return what the curves are drawn from: real faces where there are any, most networks
    first.
    """
    usable = [one for one in scored(evidence.scores) if summarised(one.accuracy).summary]
    pool = [one for one in usable if not one.accuracy.label] or usable
    if not pool:
        return None
    names = dict.fromkeys(one.record.case.dataset for one in pool)
    sets = [_one_each([one for one in pool if one.record.case.dataset == name]) for name in names]
    most = max(sets, key=len)
    return Curves(most[0].record.case.dataset, most[0].accuracy.label, tuple(most))


def _one_each(found: Sequence[Scored]) -> list[Scored]:
    networks: dict[str, list[Scored]] = {}
    for one in found:
        networks.setdefault(one.record.case.network, []).append(one)
    chosen = [representative_score([o.record for o in group]) for group in networks.values()]
    return [one for one in found if any(one.record is record for record in chosen)]


# Tables, figures and files all ask for the same summaries.
@lru_cache(maxsize=1024)
def _summarised(pairs: PairScores) -> Summarised:
    try:
        return Summarised(summarise(pairs))
    except BadInputError as error:
        return Summarised(None, str(error))
