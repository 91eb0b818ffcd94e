"""Shows where an inference's time goes, by operator, as the runtime's own profiler tells it."""

from __future__ import annotations

from collections.abc import Sequence

from facebench.harness.records.layers import LayerTimes
from facebench.harness.records.record import Record
from facebench.reports.cells import NOTHING, OBTAINED, obtained
from facebench.reports.evidence import Evidence
from facebench.reports.page import Block, Cell, Column, Paragraph, RowGroup, Table, section
from facebench.reports.tables import of_measure

_MOST_OPERATORS, _MOST_LAYERS = 6, 10


@section("layers", "Where the time goes", order=46)
def layers(evidence: Evidence) -> Sequence[Block]:
    """Return shares of operators, and the slowest layers of each network."""
    found = [
        (record, record.result)
        for record in of_measure(evidence.records, "layers")
        if isinstance(record.result, LayerTimes)
    ]
    if not found:
        return []
    text = (
        "Medians over single inferences, by the runtime's own profiler. It takes some time of its "
        "own with each layer, so that sums are above latencies: shares are what to look at."
    )
    return [Paragraph(text), _operators(found), _slowest(found)]


def _operators(found: Sequence[tuple[Record, LayerTimes]]) -> Table:
    totals: dict[str, float] = {}
    for _, result in found:
        for operator, share in result.shares.items():
            totals[operator] = totals.get(operator, 0.0) + share
    shown = sorted(totals, key=lambda name: -totals[name])[:_MOST_OPERATORS]
    columns = [
        Column("Network", words=True),
        Column("Runtime", words=True),
        Column("All layers", "ms", "measured"),
        *(Column(name, "%", "measured", "Share of the time") for name in shown),
        OBTAINED,
    ]
    rows = [
        [
            Cell(record.case.network),
            Cell(record.case.runtime),
            Cell(f"{result.total_ms:.1f}", kind="measured"),
            *(_share(result.shares.get(name)) for name in shown),
            obtained(record),
        ]
        for record, result in found
    ]
    return Table("layers-operators", "Time by operator.", columns, [RowGroup(rows)])


def _slowest(found: Sequence[tuple[Record, LayerTimes]]) -> Table:
    columns = [
        Column("Layer", words=True),
        Column("Operator", words=True),
        Column("Median", "ms", "measured"),
        Column("Share", "%", "measured"),
    ]
    groups = [
        RowGroup(
            [
                [
                    Cell(layer.name),
                    Cell(layer.operator),
                    Cell(f"{layer.ms:.2f}", kind="measured"),
                    _share(layer.ms / result.total_ms if result.total_ms else None),
                ]
                for layer in sorted(result.layers, key=lambda layer: -layer.ms)[:_MOST_LAYERS]
            ],
            record.case.network,
        )
        for record, result in found
    ]
    return Table("layers", f"The {_MOST_LAYERS} slowest layers of each network.", columns, groups)


def _share(share: float | None) -> Cell:
    return NOTHING if share is None else Cell(f"{100 * share:.0f}", kind="measured")
