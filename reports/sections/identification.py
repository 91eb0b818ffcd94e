"""Shows identification: probes searched for among distractors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from facebench.harness.records.accuracy import (
    NO_BOUNDS,
    Bounded,
    Identification,
    OperatingPoint,
)
from facebench.harness.records.record import Record
from facebench.reports.by_dataset import ByDataset, Figure, counted, speed
from facebench.reports.cells import NOTHING, bounded
from facebench.reports.evidence import Evidence
from facebench.reports.page import Block, Cell, Column, Notes, Paragraph, section

INTRODUCTION = (
    "Each image of a probe’s person is put among all distractors in turn. Rank 1 is the share of "
    "these mated searches in which no distractor scores as high; TPIR the share in which the mate "
    "also passes the threshold that lets at most the given share of probes (FPIR) find a wrong "
    "person; TAR at a FAR is verification with the distractors as impostors. Intervals are 95 %, "
    "the probes’ people, the distractors and the threshold being chance."
)
TPIR, TAR = "TPIR, %, at an FPIR of", "TAR, %, at a FAR of"


@section("identification", "Identification", order=75)
def identification(evidence: Evidence) -> Sequence[Block]:
    """Return a table for each data set."""
    found = ByDataset(Identification, _figures).tables(evidence.searches, "identification")
    return [Paragraph(INTRODUCTION), *found] if found else []


def _figures(results: Sequence[Identification]) -> list[Figure[Identification]]:
    fpirs = _rates(point for one in results for point in one.tpir)
    fars = _rates(point for one in results for point in one.tar)
    return [
        (Column("Rank 1", "%"), _rank1),
        *((Column(f"{fpir:g}", group=TPIR), _tpir_at(fpir)) for fpir in fpirs),
        *((Column(f"{far:g}", group=TAR), _tar_at(far)) for far in fars),
        counted("Probes", lambda one: one.probes),
        counted("Mated searches", lambda one: one.mated_searches),
        counted("Distractors", lambda one: one.distractors),
        counted("People", lambda one: one.identities),
        speed("searches", lambda one: one.searches_per_second),
    ]


def _rank1(record: Record, one: Identification, notes: Notes) -> Cell:
    if one.mated_searches == 0:
        return NOTHING
    bound = one.bounds.rank1 if one.bounds else Bounded(one.rank1, None, NO_BOUNDS)
    return bounded(bound, record.kind, notes)


def _tpir_at(fpir: float) -> Callable[[Record, Identification, Notes], Cell]:
    return lambda record, one, notes: _point(
        one.tpir, one.bounds.tpir if one.bounds else None, fpir, record, notes
    )


def _tar_at(far: float) -> Callable[[Record, Identification, Notes], Cell]:
    return lambda record, one, notes: _point(
        one.tar, one.bounds.tar if one.bounds else None, far, record, notes
    )


def _point(
    points: Sequence[OperatingPoint],
    bounds: Sequence[Bounded] | None,
    wanted: float,
    record: Record,
    notes: Notes,
) -> Cell:
    at = next((index for index, point in enumerate(points) if point.rate == wanted), None)
    if at is None:
        return NOTHING
    bound = bounds[at] if bounds else Bounded(points[at].true_rate, None)
    return bounded(bound, record.kind, notes)


def _rates(points: Iterable[OperatingPoint]) -> list[float]:
    return sorted({point.rate for point in points}, reverse=True)
