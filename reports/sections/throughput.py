"""Shows images a second, against batch and threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from facebench.harness.records.case import Case
from facebench.harness.records.record import Record
from facebench.harness.records.throughput import Throughput
from facebench.reports.cells import NOTHING, absent, doubts, estimated, obtained, weights
from facebench.reports.digits import Estimate
from facebench.reports.evidence import Evidence
from facebench.reports.page import Block, Cell, Column, Notes, Paragraph, RowGroup, Table, section
from facebench.reports.tables import of_measure

TEXT = (
    "Images a second that sessions of one thread each embed side by side, as for a large dataset: "
    "median of windows of time, with its 95 % interval, in which what processes differ by is not. "
    "More threads here are more sessions, not one inference shared out."
)


@section("throughput", "Throughput", order=43)
def throughput(evidence: Evidence) -> Sequence[Block]:
    """Return a table with networks, runtimes and batches down, threads across."""
    order = {network: index for index, network in enumerate(evidence.networks)}
    records = of_measure(evidence.records, "throughput")
    records = sorted(records, key=lambda one: order[one.case.network])
    if not records:
        return []
    counts = sorted({record.case.threads for record in records})
    rows: dict[Case, dict[int, Record]] = {}
    for record in records:
        rows.setdefault(replace(record.case, threads=0), {})[record.case.threads] = record
    notes = Notes()
    groups = [
        RowGroup([_cells(case, rows[case], counts, notes) for case in cases], network)
        for network, cases in groupby(rows, key=lambda case: case.network)
    ]
    heads = [Column("Runtime", words=True), Column("Precision", words=True), Column("Batch")]
    threads = [Column(f"{n} thread{'s' * (n != 1)}", "images/s", "measured") for n in counts]
    columns = [*heads, *threads, Column("Weights", words=True)]
    table = Table("throughput", "Images a second.", columns, groups, notes.texts)
    return [Paragraph(TEXT), table]


def _cells(case: Case, found: dict[int, Record], counts: Sequence[int], notes: Notes) -> list[Cell]:
    return [
        Cell(case.runtime),
        Cell(case.precision),
        Cell(str(case.batch)),
        *(_rate(found.get(count), notes) for count in counts),
        Cell(weights(case.weights)),
    ]


def _rate(record: Record | None, notes: Notes) -> Cell:
    if record is None:
        return NOTHING
    result = record.result
    if not isinstance(result, Throughput):
        return absent(record.status, record.reason, notes)
    estimate = Estimate(result.images_per_second, *result.interval)
    marks = notes.add(*doubts(record))
    badge = "untuned" if "untuned" in result.label else ""
    made = estimated(estimate, "measured", badge=badge, notes=marks)
    return replace(made, more=obtained(record).more)
