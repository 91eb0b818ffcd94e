"""Shows how inference starts and what it takes: import, load, first inference, memory."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from facebench.harness.records.latency import Latency
from facebench.reports.cells import NOTHING, OBTAINED, obtained, weights
from facebench.reports.digits import significant
from facebench.reports.evidence import Evidence
from facebench.reports.page import Block, Cell, Column, Paragraph, RowGroup, Table, section
from facebench.reports.tables import LatencyRow

TEXT = (
    "What the processes of the latencies above took to start, as medians over them. Import is that "
    "of the runtime’s Python package; load is from the artifact on disk to a session that can "
    "infer. Processes are new and their caches empty, but the files lie in the system’s page "
    "cache: after a restart of the machine both take longer. Peak is the most that was resident "
    "of a process, added what the network and its runtime hold beyond what was there before they "
    "were opened."
)
ENERGY = (
    " Energy is that of whole CPU packages, by their RAPL counters, all else that ran there "
    "included; beyond idle leaves out what they took at rest just before."
)


@section("start", "Start and memory", order=42)
def start(evidence: Evidence) -> Sequence[Block]:
    """Return a row for each latency whose processes tell."""
    known = [
        (row, row.record.result)
        for row in evidence.latencies
        if isinstance(row.record.result, Latency) and row.record.result.open_ms is not None
    ]
    if not known:
        return []
    energy = any(result.joules is not None for _, result in known)
    groups = [
        RowGroup([_cells(row, result, energy) for row, result in rows], network)
        for network, rows in groupby(known, key=lambda one: one[0].network)
    ]
    table = Table("start", "How each case starts, and its memory.", _columns(energy), groups)
    return [Paragraph(TEXT + ENERGY * energy), table]


def _columns(energy: bool) -> list[Column]:
    joules = [("Energy of an inference", "mJ"), ("Beyond idle", "mJ")] if energy else []
    figures = [
        ("Import", "ms"),
        ("Load", "ms"),
        ("First inference", "ms"),
        ("Steady", "ms"),
        ("First / steady", ""),
        ("Peak", "MB"),
        ("Added", "MB"),
        *joules,
    ]
    words = [Column("Runtime", words=True), Column("Threads")]
    measured = [Column(title, unit, "measured") for title, unit in figures]
    return [*words, *measured, Column("Weights", words=True), OBTAINED]


def _cells(row: LatencyRow, result: Latency, energy: bool) -> list[Cell]:
    first, steady = result.first_ms, result.median_ms
    figures = [
        result.import_ms,
        result.open_ms,
        first,
        steady,
        None if first is None else first / steady,
        _scaled(result.peak_bytes, 1e-6),
        _scaled(result.added_bytes, 1e-6),
    ]
    if energy:
        figures += [_scaled(result.joules, 1e3), _scaled(result.net_joules, 1e3)]
    return [
        Cell(row.setting.label),
        Cell(str(row.setting.threads)),
        *map(_figure, figures),
        Cell(weights(row.weights)),
        obtained(row.record),
    ]


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _figure(value: float | None) -> Cell:
    return NOTHING if value is None else Cell(significant(value, 3), kind="measured")
