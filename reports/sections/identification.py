"""Shows identification: probes searched for among distractors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from facebench.harness.records.accuracy import (
    NO_BOUNDS,
    Bounded,
    Identification,
    OperatingPoint,
)
from facebench.harness.records.record import Record
from facebench.reports.cells import (
    NOTHING,
    OBTAINED,
    absent,
    bounded,
    case_columns,
    doubts,
    missing_faces,
    obtained,
)
from facebench.reports.digits import significant
from facebench.reports.evidence import Evidence
from facebench.reports.page import Block, Cell, Column, Notes, Paragraph, RowGroup, Table, section

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
    if not evidence.searches:
        return []
    names = dict.fromkeys(record.case.dataset for record in evidence.searches)
    return [
        Paragraph(INTRODUCTION),
        *(_table(evidence, name, f"identification-{n}") for n, name in enumerate(names, start=1)),
    ]


def _table(evidence: Evidence, dataset: str, name: str) -> Table:
    notes = Notes()
    records = [record for record in evidence.searches if record.case.dataset == dataset]
    results = [result for record in records if (result := _result(record))]
    fpirs = _rates(point for one in results for point in one.tpir)
    fars = _rates(point for one in results for point in one.tar)
    heads = case_columns(records)
    columns = [column for column, _ in heads] + _columns(fpirs, fars)
    rows = [
        [*(cell(record) for _, cell in heads), *_cells(record, fpirs, fars, notes)]
        for record in records
    ]
    labels = dict.fromkeys(one.label for one in results if one.label)
    caption = " ".join([f"Data set {dataset}.", *(f"{label}." for label in labels)])
    return Table(name, caption, columns, [RowGroup(rows)], notes.texts)


def _columns(fpirs: Sequence[float], fars: Sequence[float]) -> list[Column]:
    return [
        Column("Rank 1", "%"),
        *(Column(f"{fpir:g}", group=TPIR) for fpir in fpirs),
        *(Column(f"{far:g}", group=TAR) for far in fars),
        Column("Probes", kind="counted"),
        Column("Mated searches", kind="counted"),
        Column("Distractors", kind="counted"),
        Column("People", kind="counted"),
        Column("Flip", words=True),
        Column("Speed", "images/s, one run"),
        Column("Speed", "searches/s, one run"),
        Column("Kind", words=True),
        Column("Label", words=True),
        OBTAINED,
    ]


def _cells(
    record: Record, fpirs: Sequence[float], fars: Sequence[float], notes: Notes
) -> list[Cell]:
    one = _result(record)
    if one is None:
        width = len(_columns(fpirs, fars)) - 1
        return [absent(record.status, record.reason, notes), *[NOTHING] * width]
    marks = notes.add(
        *doubts(record),
        missing_faces(record.case.absent, one.not_found),
        "" if one.bounds else NO_BOUNDS,
    )
    bounds = one.bounds
    counts = [one.probes, one.mated_searches, one.distractors, one.identities]
    return [
        _rank1(one, record.kind, notes, marks),
        *(
            _point(one.tpir, bounds.tpir if bounds else None, fpir, record.kind, notes)
            for fpir in fpirs
        ),
        *(_point(one.tar, bounds.tar if bounds else None, far, record.kind, notes) for far in fars),
        *(Cell(f"{count:,}", kind="counted") for count in counts),
        Cell(one.flip),
        Cell(significant(one.images_per_second, 2), kind=record.kind),
        Cell(significant(one.searches_per_second, 2), kind=record.kind),
        Cell(record.kind),
        Cell("", badge=one.label.partition(":")[0]),
        obtained(record),
    ]


def _rank1(one: Identification, kind: str, notes: Notes, marks: tuple[int, ...]) -> Cell:
    if one.mated_searches == 0:
        return NOTHING
    cell = bounded(one.bounds.rank1 if one.bounds else Bounded(one.rank1, None), kind, notes)
    return replace(cell, notes=(*marks, *cell.notes))


def _point(
    points: Sequence[OperatingPoint],
    bounds: Sequence[Bounded] | None,
    wanted: float,
    kind: str,
    notes: Notes,
) -> Cell:
    at = next((index for index, point in enumerate(points) if point.rate == wanted), None)
    if at is None:
        return NOTHING
    return bounded(bounds[at] if bounds else Bounded(points[at].true_rate, None), kind, notes)


def _result(record: Record) -> Identification | None:
    result = record.result
    return result if record.status == "ok" and isinstance(result, Identification) else None


def _rates(points: Iterable[OperatingPoint]) -> list[float]:
    return sorted({point.rate for point in points}, reverse=True)
