"""Shows latency: an overview at one thread, then every figure with its spread."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby

from facebench.harness.records.latency import Latency
from facebench.harness.runs.long_run import long_run_ms
from facebench.reports.cells import (
    NOTHING,
    OBTAINED,
    absent,
    estimated,
    median,
    obtained,
    quantity,
    weights,
)
from facebench.reports.comparison import THREADS, representative
from facebench.reports.digits import Estimate, interval
from facebench.reports.environments import another_machine, differences
from facebench.reports.evidence import Evidence, real_faces
from facebench.reports.page import Block, Cell, Column, Notes, Paragraph, RowGroup, Table, section
from facebench.reports.tables import LatencyRow, settings
from facebench.reports.time_ratios import fastest
from facebench.reports.trade_off import inferences_of

_MIRRORED = Column("Face and mirror", "ms, two inferences")
HEADS = [
    Column("Runtime", words=True, choice=True),
    Column("Threads", choice=True),
    Column("Median", "ms"),
    Column("95 % interval", "ms"),
    Column("Long run", "ms"),
    Column("P90", "ms"),
    Column("Minimum", "ms"),
    Column("Samples", kind="counted"),
    Column("Processes", kind="counted"),
    Column("Kind", words=True, choice=True),
    Column("Label", words=True),
    Column("Weights", words=True),
    OBTAINED,
]


@section("latency", "Latency", order=40)
def latency(evidence: Evidence) -> Sequence[Block]:
    """Return the overview and the full table."""
    if not evidence.latencies:
        return []
    text = (
        "Wall time of single inferences on one image, after warm-up. Where several processes "
        "took the samples, the interval is over processes, so that it holds what differs from one "
        "start to the next; of one process it is that of its samples alone. It speaks of the "
        "minutes in which it was taken. “Long run” is the 95 % interval of the median over many "
        "hours, by what times on that machine have differed from hour to hour; three hours must "
        "have been seen for it. Untuned code is shown with that word and takes no part in any "
        "ranking. “Fastest” marks the runtime that is shown to be faster than each other ranked "
        "one for that network and thread count, by the 95 % interval of the ratio of the two "
        "times, which has what processes, runs and disturbances of the machine make of it."
    )
    return [Paragraph(text), *_overview(evidence), _full(evidence)]


def _overview(evidence: Evidence) -> list[Table]:
    columns = settings(evidence.latencies, threads=THREADS)
    if not columns:
        return []
    notes, rows = Notes(), []
    for network in evidence.networks:
        found = [representative(evidence, network, one) for one in columns]
        best = _fastest(row for row in found if row)
        rows.append(
            [
                Cell(network),
                *(median(r, notes, strong=r is best) if r else NOTHING for r in found),
            ]
        )
    heads = [Column(one.label, "ms", one.kind) for one in columns]
    return [
        Table(
            "latency-overview",
            f"Median time of one inference, {columns[0].threads_text}, with its 95 % interval; in "
            "bold the fastest of a row.",
            [Column("Network", words=True), *heads],
            [RowGroup(rows)],
            notes.texts,
        )
    ]


def _full(evidence: Evidence) -> Table:
    notes = Notes()
    groups = [
        RowGroup(list(_rows(list(rows), notes)), network)
        for network, rows in groupby(evidence.latencies, key=lambda row: row.network)
    ]
    table = Table("latency", "Every latency, by network.", HEADS, groups, notes.texts)
    mirrored = any(real_faces(one) and inferences_of(one) == 2 for one in evidence.scores)
    return _with_mirrored(table, evidence) if mirrored else table


def _with_mirrored(table: Table, evidence: Evidence) -> Table:
    """Return the table with the time of an image and its mirror, as accuracy was scored."""
    rows = iter(evidence.latencies)
    groups = [
        replace(group, rows=[[*cells[:4], _twice(next(rows)), *cells[4:]] for cells in group.rows])
        for group in table.groups
    ]
    return replace(table, columns=[*HEADS[:4], _MIRRORED, *HEADS[4:]], groups=groups)


def _rows(rows: list[LatencyRow], notes: Notes) -> Iterable[list[Cell]]:
    best = {
        id(_fastest(row for row in rows if row.setting.threads == threads))
        for threads in {row.setting.threads for row in rows}
    }
    for row in rows:
        yield _cells(row, notes, is_fastest=row.median is not None and id(row) in best)


def _cells(row: LatencyRow, notes: Notes, *, is_fastest: bool) -> list[Cell]:
    head = [Cell(row.setting.label), Cell(str(row.setting.threads))]
    badge = "fastest" if is_fastest else row.label
    tail = [
        Cell(row.setting.kind),
        Cell("", badge=badge),
        Cell(weights(row.weights)),
        obtained(row.record),
    ]
    if row.median is None:
        gap = absent(row.status, row.reason, notes)
        return [*head, gap, *[NOTHING] * 6, *tail]
    kind = row.setting.kind
    figure = median(row, notes, strong=is_fastest)
    return [
        *head,
        Cell(figure.text, "", kind, "", figure.notes, is_fastest),
        Cell(figure.detail, kind=kind),
        _long_run(row),
        Cell(quantity(row.p90_ms, row.median), kind=kind),
        Cell(quantity(row.minimum_ms, row.median), kind=kind),
        Cell(str(row.samples), kind="counted"),
        Cell(str(_processes(row)), kind="counted"),
        *tail,
    ]


def _twice(row: LatencyRow) -> Cell:
    if row.median is None:
        return NOTHING
    one = row.median
    twice = Estimate(2 * one.value, 2 * one.low, 2 * one.high)
    return estimated(twice, row.setting.kind)


def _long_run(row: LatencyRow) -> Cell:
    bounds = long_run_ms(row.record)
    if bounds is None or row.median is None:
        return NOTHING
    return Cell(interval(Estimate(row.median.value, *bounds)), kind=row.setting.kind)


def _processes(row: LatencyRow) -> int:
    result = row.record.result
    return len(result.by_process) if isinstance(result, Latency) else 0


def _fastest(rows: Iterable[LatencyRow]) -> LatencyRow | None:
    """Return the fastest, where all ranked rows come from one machine."""
    ranked = [row for row in rows if row.ranked]
    mixed = any(
        another_machine(differences(row.record.environment, ranked[0].record.environment))
        for row in ranked
    )
    return None if mixed else fastest(ranked)
