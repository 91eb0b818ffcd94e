"""Shows the verification of templates, sets of a person's images."""

from __future__ import annotations

from collections.abc import Sequence

from facebench.harness.records.record import Record
from facebench.harness.records.templates import TemplateVerification
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
from facebench.reports.tables import of_measure

INTRODUCTION = (
    "A template is several images of one person: frames of a video are joined by their mean, each "
    "weighed by how sure the publisher’s detector was of its face, and videos and photographs by "
    "their sum. TAR is the share of genuine pairs of templates accepted at the threshold where at "
    "most the given share of impostor pairs (FAR) is. Intervals are 95 %, people and the threshold "
    "being chance."
)
TAR = "TAR, %, at a FAR of"


@section("templates", "Templates", order=73)
def templates(evidence: Evidence) -> Sequence[Block]:
    """Return a table for each data set."""
    found = of_measure(evidence.records, "templates")
    names = dict.fromkeys(record.case.dataset for record in found)
    tables = [
        _table([r for r in found if r.case.dataset == name], name, f"templates-{number}")
        for number, name in enumerate(names, start=1)
    ]
    return [Paragraph(INTRODUCTION), *tables] if tables else []


def _table(records: Sequence[Record], dataset: str, name: str) -> Table:
    notes = Notes()
    results = [result for record in records if (result := _result(record))]
    fars = sorted({point.rate for one in results for point in one.tar}, reverse=True)
    heads = case_columns(records)
    columns = [column for column, _ in heads] + _columns(fars)
    rows = [
        [*(cell(record) for _, cell in heads), *_cells(record, fars, notes)] for record in records
    ]
    refused = dict.fromkeys(sentence for one in results for sentence in one.refused)
    notes.add(*refused)
    labels = dict.fromkeys(one.label for one in results if one.label)
    caption = " ".join([f"Data set {dataset}.", *(f"{label}." for label in labels)])
    return Table(name, caption, columns, [RowGroup(rows)], notes.texts)


def _columns(fars: Sequence[float]) -> list[Column]:
    return [
        *(Column(f"{far:g}", group=TAR) for far in fars),
        Column("Templates", kind="counted"),
        Column("Images", kind="counted"),
        Column("Genuine pairs", kind="counted"),
        Column("Impostor pairs", kind="counted"),
        Column("People", kind="counted"),
        Column("Flip", words=True),
        Column("Speed", "images/s, one run"),
        Column("Kind", words=True),
        Column("Label", words=True),
        OBTAINED,
    ]


def _cells(record: Record, fars: Sequence[float], notes: Notes) -> list[Cell]:
    one = _result(record)
    if one is None:
        width = len(_columns(fars)) - 1
        return [absent(record.status, record.reason, notes), *[NOTHING] * width]
    marks = notes.add(*doubts(record), missing_faces(record.case.absent, one.not_found))
    sure = {point.rate: bound for point, bound in zip(one.tar, one.bounds, strict=True)}
    counts = [one.templates, one.images, one.genuine, one.impostor, one.people]
    return [
        *(bounded(sure[far], record.kind, notes) if far in sure else NOTHING for far in fars),
        *(Cell(f"{count:,}", kind="counted") for count in counts),
        Cell(one.flip),
        Cell(significant(one.images_per_second, 2), kind=record.kind, notes=marks),
        Cell(record.kind),
        Cell("", badge=one.label.partition(":")[0]),
        obtained(record),
    ]


def _result(record: Record) -> TemplateVerification | None:
    result = record.result
    return result if record.status == "ok" and isinstance(result, TemplateVerification) else None
