"""Shows compilation: the libraries TVM made, target by target."""

from __future__ import annotations

from collections.abc import Sequence

from facebench.harness.records.artifacts import Compilation
from facebench.harness.records.record import Record
from facebench.reports.cells import NOTHING, OBTAINED, absent, obtained
from facebench.reports.digits import significant
from facebench.reports.evidence import Evidence
from facebench.reports.page import Block, Cell, Column, Notes, Paragraph, RowGroup, Table, section
from facebench.reports.tables import of_measure


@section("compile", "Compiled libraries", order=60)
def compiled(evidence: Evidence) -> Sequence[Block]:
    """Return one table, grouped by target."""
    records = of_measure(evidence.records, "compile")
    if not records:
        return []
    notes = Notes()
    targets = dict.fromkeys(record.case.target for record in records)
    order = {network: index for index, network in enumerate(evidence.networks)}
    groups = [
        RowGroup(
            [
                _cells(record, notes)
                for record in sorted(records, key=lambda one: order[one.case.network])
                if record.case.target == target
            ],
            f"Target {target}",
        )
        for target in targets
    ]
    columns = [
        Column("Network", words=True),
        Column("Triple", words=True),
        Column("ELF machine", words=True),
        Column("Library", "kB", "counted"),
        Column("Kernels", kind="counted", words=True),
        Column("Time", "s, one run", "measured"),
        OBTAINED,
    ]
    text = (
        "Shared libraries made by TVM. Kernels are counted by how their schedule was found: "
        "“tuned” by search for that target, “scheduled” by a rule, “plain” loops as lowered. A "
        "library with plain kernels, or without tuned ones, is untuned: it shows that the network "
        "compiles, not how fast it can be. "
        "The time to compile comes from one run and has no interval."
    )
    table = Table("compile", "Libraries, by target.", columns, groups, notes.texts)
    return [Paragraph(text), table]


def _cells(record: Record, notes: Notes) -> list[Cell]:
    made = record.result
    if record.status != "ok" or not isinstance(made, Compilation):
        gap = absent(record.status, record.reason, notes)
        return [Cell(record.case.network), gap, *[NOTHING] * 5]
    untuned = made.kernels.get("plain", 0) > 0
    return [
        Cell(record.case.network),
        Cell(made.triple),
        Cell(made.elf_machine, notes=notes.add(*(c.detail for c in record.failed_checks))),
        Cell(f"{made.size_bytes / 1e3:,.0f}", kind=record.kind),
        Cell(_kernels(made), kind=record.kind, badge="untuned" if untuned else ""),
        Cell(significant(made.seconds, 2), kind="measured"),
        obtained(record),
    ]


def _kernels(made: Compilation) -> str:
    return ", ".join(f"{count} {name}" for name, count in made.kernels.items() if count) or "none"
