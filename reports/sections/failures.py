"""Failures, refusals, and figures whose conditions of validity did not all hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from facebench.harness.records.record import Record
from facebench.reports.evidence import Evidence
from facebench.reports.page import Block, Cell, Column, Paragraph, RowGroup, Table, section
from facebench.reports.tables import unsuccessful

HEADS = [
    Column("Measure", words=True),
    Column("Network", words=True),
    Column("Where", words=True),
    Column("Status", words=True),
    Column("Reason", words=True),
]


@section("failures", "Failures and refusals", order=80)
def failures(evidence: Evidence) -> Sequence[Block]:
    """Return every record without a figure; then the checks that did not hold."""
    missing = unsuccessful(evidence.own)
    if missing:
        failed = sum(record.status == "failed" for record in missing)
        text = (
            f"Of {len(evidence.own)} cases, {failed} failed and {len(missing) - failed} were "
            "refused: the evidence at hand cannot support the figure."
        )
        rows = [_cells(record) for record in missing]
        table = Table("failures", "Cases without a figure.", HEADS, [RowGroup(rows)])
        return [Paragraph(text), table, *_doubtful(evidence)]
    return [
        Paragraph(f"None: all {len(evidence.own)} cases hold a figure."),
        *_doubtful(evidence),
    ]


def _cells(record: Record) -> list[Cell]:
    case = record.case
    words = [case.measure, case.network, _where(record), record.status, record.reason]
    return [Cell(word) for word in words]


def _where(record: Record) -> str:
    case = record.case
    runtime = f"{case.threads} threads" if case.measure == "latency" and case.threads > 1 else ""
    device = case.device if case.device != "local" else ""
    precision = case.precision if case.precision != "fp32" else ""
    parts = [case.runtime, precision, case.target, case.dataset, device, runtime]
    return ", ".join(filter(None, parts)) or "–"


def _doubtful(evidence: Evidence) -> list[Block]:
    found: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in evidence.own:
        for check in record.failed_checks:
            found[check.name, check.detail].append(record)
    if not found:
        return []
    rows = [
        [Cell(name), Cell(detail), Cell(str(len(records))), Cell(_some(records))]
        for (name, detail), records in found.items()
    ]
    heads = [
        Column("Check", words=True),
        Column("Detail", words=True),
        Column("Cases", kind="counted"),
        Column("Which", words=True),
    ]
    caption = "Checks that did not hold: these figures are shown, and are less sure than the rest."
    return [Table("checks", caption, heads, [RowGroup(rows)])]


def _some(records: Sequence[Record], most: int = 3) -> str:
    found = list(dict.fromkeys(str(record.case) for record in records))
    names = "; ".join(found[:most])
    return f"{names}; and {len(found) - most} more" if len(found) > most else names
