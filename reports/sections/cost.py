"""Cost: exact counts, each under its convention."""

from __future__ import annotations

from collections.abc import Sequence

from facebench.harness.records.cost import Cost
from facebench.reports.cells import NOTHING, OBTAINED, absent, obtained
from facebench.reports.digits import significant
from facebench.reports.evidence import Evidence
from facebench.reports.page import Block, Cell, Column, Notes, Paragraph, RowGroup, Table, section
from facebench.reports.tables import of_measure

MEMORY, MADDS = "Memory, fp32", "MAdds, by convention"


@section("cost", "Cost", order=50)
def cost(evidence: Evidence) -> Sequence[Block]:
    """Return the table and its conventions."""
    records = of_measure(evidence.records, "cost")
    if not records:
        return []
    found = list(evidence.costs.values())
    conventions = list(dict.fromkeys(name for one in found for name in one.madds))
    precisions = list(dict.fromkeys(name for one in found for name in one.size_bytes))
    notes, order = Notes(), {network: i for i, network in enumerate(evidence.networks)}
    rows = []
    for record in sorted(records, key=lambda one: order[one.case.network]):
        result = record.result if record.status == "ok" else None
        if isinstance(result, Cost):
            cells = _cells(result, conventions, precisions)
            rows.append([Cell(record.case.network), *cells, obtained(record)])
        else:
            width = len(conventions) + len(precisions) + 7
            gap = absent(record.status, record.reason, notes)
            rows.append([Cell(record.case.network), gap, *[NOTHING] * width])
    text = (
        "One inference of one image. A MAdd is one multiplication with its addition. The "
        "convention “conv+linear”, the paper’s, counts convolutions and linear layers; “+bn” adds "
        "batch and layer normalization as layers of their own, “+activation” the activations. "
        "Activations are elements written by all layers."
    )
    columns = [*_columns(conventions, precisions), OBTAINED]
    return [Paragraph(text), Table("cost", "Exact counts.", columns, [RowGroup(rows)], notes.texts)]


def _columns(conventions: list[str], precisions: list[str]) -> list[Column]:
    def counted(title: str, unit: str = "", group: str = "") -> Column:
        return Column(title, unit, "counted", group)

    return [
        Column("Network", words=True),
        counted("Input"),
        counted("Embedding"),
        counted("as trained", "", "Parameters"),
        counted("BN folded", "", "Parameters"),
        *(counted(name, "", MADDS) for name in conventions),
        counted("Activations", "elements"),
        counted("moved", "MB an image", MEMORY),
        counted("peak", "MB", MEMORY),
        *(counted(name, "MB", "Weights, BN folded") for name in precisions),
    ]


def _cells(one: Cost, conventions: list[str], precisions: list[str]) -> list[Cell]:
    texts = [
        "×".join(str(side) for side in one.input_size),
        str(one.embedding_size),
        f"{one.parameters:,}",
        f"{one.parameters_bn_folded:,}",
        *(_optional(one.madds.get(name)) for name in conventions),
        f"{one.activations:,}",
        _megabytes(one.weight_bytes + one.activation_bytes),
        _megabytes(one.peak_activation_bytes),
        *(_megabytes(one.size_bytes.get(name)) for name in precisions),
    ]
    return [Cell(text, kind="counted") for text in texts]


def _optional(count: int | None) -> str:
    return NOTHING.text if count is None else f"{count:,}"


def _megabytes(size: int | None) -> str:
    return NOTHING.text if size is None else significant(size / 1e6, 3)
