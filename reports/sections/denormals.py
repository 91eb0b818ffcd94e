"""Denormal numbers: how many each network holds and computes, and what flushing them gains."""

from __future__ import annotations

from collections.abc import Sequence

from facebench.harness.comparison.denormals_advice import percent
from facebench.harness.comparison.denormals_effect import DenormalsEffect, effects
from facebench.harness.records.denormals import Denormals, worst_first
from facebench.harness.records.record import Record
from facebench.reports.cells import NOTHING, absent, weights
from facebench.reports.digits import significant
from facebench.reports.evidence import Evidence
from facebench.reports.page import Block, Cell, Column, Notes, Paragraph, RowGroup, Table, section
from facebench.reports.tables import of_measure

TEXT = (
    "Denormal numbers are those below 2⁻¹²⁶ that are not 0. Many kernels are several times slower "
    "on them, so that a time depends on weights and images. They are counted in fp32, batch "
    "normalization folded, in all weights and in the output of each layer, where nothing flushes "
    "them to zero; without any, flushing changes nothing."
)


@section("denormals", "Denormal numbers", order=48)
def denormals(evidence: Evidence) -> Sequence[Block]:
    """Return the counts, and each network that was timed both ways."""
    records = of_measure(evidence.records, "denormals")
    gained = effects(evidence.records)
    blocks: list[Block] = [Paragraph(TEXT)] if records or gained else []
    if records:
        blocks.append(_counts(evidence, records))
    if gained:
        blocks.append(_effects(gained))
    return blocks


def _counts(evidence: Evidence, records: Sequence[Record]) -> Table:
    order = {network: i for i, network in enumerate(evidence.networks)}
    notes = Notes()
    rows = [
        _cells(record, notes) for record in sorted(records, key=lambda one: order[one.case.network])
    ]
    columns = [
        Column("Network", words=True),
        Column("Of all weights", kind="counted"),
        Column("Of all elements computed", kind="counted"),
        Column("Worst", words=True),
        Column("Of its elements", kind="counted"),
        Column("Weights", words=True),
    ]
    return Table("denormals", "Shares that are denormal.", columns, [RowGroup(rows)], notes.texts)


def _cells(record: Record, notes: Notes) -> list[Cell]:
    name, found = Cell(record.case.network), record.result
    filled = Cell(weights(record.case.weights))
    if record.status != "ok" or not isinstance(found, Denormals):
        return [name, absent(record.status, record.reason, notes), *[NOTHING] * 3, filled]
    shares = [_share(found.weight_share), _share(found.activation_share)]
    worst = worst_first((*found.activations, *found.weights))[:1]
    where = [Cell(worst[0].name), _share(worst[0].share)] if worst else [NOTHING, NOTHING]
    return [name, *shares, *where, filled]


def _share(share: float) -> Cell:
    return Cell(percent(share), kind="counted")


def _effects(gained: Sequence[DenormalsEffect]) -> Table:
    columns = [
        Column("Network", words=True),
        Column("Runtime", words=True),
        Column("Threads"),
        Column("Kept", "ms", "measured"),
        Column("Flushed", "ms", "measured"),
        Column("Speedup", kind="measured"),
        Column("Weights", words=True),
    ]
    caption = (
        "Times with denormal numbers kept and flushed to zero, and how many times as fast flushing "
        "is, with its 95 % interval over processes."
    )
    notes = Notes()
    rows = [RowGroup([_effect(one, notes) for one in gained])]
    return Table("flushing", caption, columns, rows, notes.texts)


def _effect(one: DenormalsEffect, notes: Notes) -> list[Cell]:
    texts = (one.kept_ms, one.flushed_ms)
    detail = " to ".join(significant(bound, 3) for bound in one.interval or ())
    return [
        Cell(one.case.network),
        Cell(one.case.runtime),
        Cell(str(one.case.threads)),
        *(Cell(significant(ms, 3), kind="measured") for ms in texts),
        Cell(significant(one.speedup, 3), detail, "measured", notes=notes.add(one.reason)),
        Cell(weights(one.case.weights)),
    ]
