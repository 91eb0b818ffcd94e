"""Shows accuracy by group: how much worse some people are told than others."""

from __future__ import annotations

from collections.abc import Sequence

from facebench.architectures.errors import BadInputError, RefusedError
from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.record import Record
from facebench.harness.verification.groups import ByGroup, by_group
from facebench.reports.cells import bounded, case_columns
from facebench.reports.evidence import Evidence
from facebench.reports.page import Block, Cell, Column, Notes, Paragraph, RowGroup, Table, section

INTRODUCTION = (
    "A group’s accuracy is by the 10-fold protocol on its pairs alone, at thresholds of its own; "
    "FAR and FRR are at the one threshold that all pairs together set. The gap is between the most "
    "and the least accurate group; its interval holds for all gaps between two groups at once "
    "(Bonferroni). Intervals are 95 %, people being chance."
)


@section("groups", "Accuracy by group", order=72)
def groups(evidence: Evidence) -> Sequence[Block]:
    """Return a table for each record of a data set with groups, and a sentence on its gap."""
    blocks: list[Block] = []
    for record in evidence.scores:
        if record.status == "ok" and isinstance(record.result, Accuracy):
            try:
                found = by_group(record.result)
            except (BadInputError, RefusedError) as error:
                blocks.append(Paragraph(f"{record.case.network} on {record.case.dataset}: {error}"))
                continue
            if found is not None:
                blocks += [_table(record, found, f"groups-{len(blocks) + 1}"), _gap(found)]
    return [Paragraph(INTRODUCTION), *blocks] if blocks else []


def _table(record: Record, found: ByGroup, name: str) -> Table:
    notes = Notes()
    heads = case_columns([record])
    far = f"at FAR {found.common.rate:g} of all"
    columns = [
        *(column for column, _ in heads),
        Column("Group", words=True),
        Column("Accuracy", "%"),
        Column("FAR", "%", group=far),
        Column("FRR", "%", group=far),
        Column("Pairs", kind="counted"),
    ]
    rows = [
        [
            *(cell(record) for _, cell in heads),
            Cell(one.name),
            bounded(one.accuracy, record.kind, notes),
            bounded(one.common.far, record.kind, notes),
            bounded(one.common.frr, record.kind, notes),
            Cell(f"{one.pairs:,}", kind="counted"),
        ]
        for one in found.groups
    ]
    return Table(name, f"Data set {record.case.dataset}.", columns, [RowGroup(rows)], notes.texts)


def _gap(found: ByGroup) -> Paragraph:
    gap, difference = found.gap, found.gap.difference
    said = (
        f"The widest gap: {gap.best} {100 * difference.value:.2f} points more accurate than "
        f"{gap.worst}"
    )
    if difference.interval is None:
        return Paragraph(f"{said}; {difference.note}.")
    low, high = (100 * end for end in difference.interval)
    return Paragraph(f"{said} (95 % interval {low:+.2f} to {high:+.2f}).")
