"""Shows searches for templates in galleries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from facebench.harness.records.accuracy import Bounded
from facebench.harness.records.record import Record
from facebench.harness.records.templates import TemplateSearch
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
    "Each probe is a template that is compared with all templates of a gallery, one a person. Rank "
    "k is the share of mated probes, whose person is there, that find them among the first k; FNIR "
    "the share that do not find them first and above the threshold that lets at most the given "
    "share of unmated probes (FPIR) find anybody. All are means over the galleries. Intervals are "
    "95 %, the probes’ people and the thresholds being chance."
)
FOUND, FNIR = "Found, %, at rank", "FNIR, %, at an FPIR of"


@section("galleries", "Searches of templates", order=76)
def galleries(evidence: Evidence) -> Sequence[Block]:
    """Return a table for each data set."""
    found = of_measure(evidence.records, "galleries")
    names = dict.fromkeys(record.case.dataset for record in found)
    tables = [
        _table([r for r in found if r.case.dataset == name], name, f"galleries-{number}")
        for number, name in enumerate(names, start=1)
    ]
    return [Paragraph(INTRODUCTION), *tables] if tables else []


def _table(records: Sequence[Record], dataset: str, name: str) -> Table:
    notes = Notes()
    results = [result for record in records if (result := _result(record))]
    ranks = sorted({rank for one in results for rank in one.ranks})
    fpirs = sorted({fpir for one in results for fpir in one.fpirs}, reverse=True)
    heads, columns = case_columns(records), _columns(ranks, fpirs)
    rows = [
        [*(cell(record) for _, cell in heads), *_cells(record, ranks, fpirs, len(columns), notes)]
        for record in records
    ]
    labels = dict.fromkeys(one.label for one in results if one.label)
    caption = " ".join([f"Data set {dataset}.", *(f"{label}." for label in labels)])
    titles = [*(column for column, _ in heads), *columns]
    return Table(name, caption, titles, [RowGroup(rows)], notes.texts)


def _columns(ranks: Sequence[int], fpirs: Sequence[float]) -> list[Column]:
    return [
        *(Column(f"{rank}", group=FOUND) for rank in ranks),
        *(Column(f"{fpir:g}", group=FNIR) for fpir in fpirs),
        Column("Probes", kind="counted"),
        Column("Galleries", kind="counted"),
        Column("Images", kind="counted"),
        Column("People", kind="counted"),
        Column("Flip", words=True),
        Column("Speed", "images/s, one run"),
        Column("Kind", words=True),
        Column("Label", words=True),
        OBTAINED,
    ]


def _cells(
    record: Record, ranks: Sequence[int], fpirs: Sequence[float], width: int, notes: Notes
) -> list[Cell]:
    one = _result(record)
    if one is None:
        return [absent(record.status, record.reason, notes), *[NOTHING] * (width - 1)]
    marks = notes.add(*doubts(record), missing_faces(record.case.absent, one.not_found))
    sizes = " and ".join(f"{size:,}" for size in one.galleries)
    return [
        *_given(dict(zip(one.ranks, one.found, strict=True)), ranks, record.kind, notes),
        *_given(dict(zip(one.fpirs, one.fnir, strict=True)), fpirs, record.kind, notes),
        Cell(f"{one.probes:,}", kind="counted"),
        Cell(sizes, kind="counted"),
        Cell(f"{one.images:,}", kind="counted"),
        Cell(f"{one.people:,}", kind="counted"),
        Cell(one.flip),
        Cell(significant(one.images_per_second, 2), kind=record.kind, notes=marks),
        Cell(record.kind),
        Cell("", badge=one.label.partition(":")[0]),
        obtained(record),
    ]


def _given(
    found: Mapping[float, Bounded], wanted: Sequence[float], kind: str, notes: Notes
) -> list[Cell]:
    return [bounded(found[one], kind, notes) if one in found else NOTHING for one in wanted]


def _result(record: Record) -> TemplateSearch | None:
    result = record.result
    return result if record.status == "ok" and isinstance(result, TemplateSearch) else None
