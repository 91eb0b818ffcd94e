"""Writes the summary that a run ends with, as wide as the terminal is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.record import Record
from facebench.reports.cells import NOTHING, in_percent, millions, sure
from facebench.reports.comparison import THREADS, ComparisonRow, compare, representative
from facebench.reports.digits import compact, percentage, significant
from facebench.reports.emulated import EmulatedCore, EmulatedRow, paper_ratio, places
from facebench.reports.evidence import BASELINE, PAPER_CONDITIONS, Evidence, real_faces
from facebench.reports.recorded import RECORDED, said_of
from facebench.reports.tables import LatencyRow, Setting
from facebench.reports.text import plain
from facebench.reports.trade_off import mirrored

_MOST_NAME = 20
# Wider than any terminal: a table is measured as it would like to be.
_ANY_WIDTH = 10_000


def summary(records: Sequence[Record]) -> Group:
    """Return what was timed here; below it, where there is any, what was emulated and modelled."""
    evidence = Evidence(records)
    settings = _fastest_first(evidence)
    found = [_Fitting(len(settings), lambda count: _timed(evidence, settings, count))]
    if cores := _first_cores(evidence):
        found.append(_Fitting(len(cores), lambda count: _emulated(evidence, cores[:count])))
    return Group(*found)


@dataclass(frozen=True)
class _Fitting:
    """It is a table that shows as many of its columns as the terminal has room for."""

    most: int
    made: Callable[[int], Table]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        roomy = options.update(max_width=_ANY_WIDTH)
        tables = [self.made(count) for count in range(self.most, -1, -1)]
        fitting = (
            table
            for table in tables
            if Measurement.get(console, roomy, table).maximum <= options.max_width
        )
        yield next(fitting, tables[-1])


def _timed(evidence: Evidence, settings: Sequence[Setting], count: int) -> Table:
    """Return the table: networks down, and across: size, MAdds, time of one inference by runtime,
    accuracy on real faces, the paper's ratio.
    """
    rows = [row for row in compare(evidence).rows if row.network is not None]
    columns, left_out = settings[:count], settings[count:]
    scores = [row.lfw for row in rows if row.lfw is not None and real_faces(row.lfw)]
    table = Table(
        title=_title(bool(settings)),
        caption=_caption(evidence, left_out, scores),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=0,
    )
    table.add_column("network", no_wrap=True, max_width=_MOST_NAME)
    lfw = "LFW, %\nrecorded" if _all_recorded(scores) else "LFW\n%"
    heads = ("params\nM", "MAdds\nM", *(_head(one, evidence) for one in columns), lfw)
    for head in (*heads, "paper\nratio"):
        table.add_column(head, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*_cells(row, columns, evidence))
    return table


def _title(timed: bool) -> str:
    if not timed:
        return "Figures ± half of their 95 % intervals"
    return f"Median ms of one inference ± half of its 95 % interval, {THREADS} thread"


def _fastest_first(evidence: Evidence) -> list[Setting]:
    """Return what was timed; where the baseline is fast stands first, and is shown the longest."""

    def key(one: Setting) -> tuple[bool, float]:
        row = representative(evidence, BASELINE, one)
        ranked = row is not None and row.ranked
        return not ranked, row.median.value if row and row.median and ranked else 0.0

    return sorted(compare(evidence).settings, key=key)


def _head(setting: Setting, evidence: Evidence) -> str:
    rows = [row for row in evidence.latencies if row.setting == setting]
    lines = setting.label.replace("_", "\n").replace(", ", "\n")
    return escape(f"{lines}\nuntuned" if any(row.untuned for row in rows) else lines)


def _cells(row: ComparisonRow, columns: Sequence[Setting], evidence: Evidence) -> list[str]:
    network, cost = row.network or "", row.cost
    madds = cost.madds.get("conv+linear") if cost else None
    texts = [
        plain(network),
        millions(cost.parameters_bn_folded) if cost else NOTHING.text,
        millions(madds) if madds is not None else NOTHING.text,
        *(_time(representative(evidence, network, one)) for one in columns),
        _score(row.lfw),
        f"{row.paper_ratio:.2f}" if row.paper_ratio is not None else NOTHING.text,
    ]
    return [escape(text) for text in texts]


def _time(row: LatencyRow | None) -> str:
    if row is None:
        return NOTHING.text
    return row.status if row.median is None else compact(row.median)


def _score(record: Record | None) -> str:
    if record is None:
        return NOTHING.text
    if record.status != "ok" or not isinstance(record.result, Accuracy):
        return record.status
    if not real_faces(record):
        return NOTHING.text
    known = sure(record.result)
    share = in_percent(known)
    return compact(share) if known.interval else percentage(share)[0]


def _all_recorded(scores: Sequence[Record]) -> bool:
    return bool(scores) and all(score.kind == RECORDED for score in scores)


def _caption(evidence: Evidence, left_out: Sequence[Setting], scores: Sequence[Record]) -> str:
    recorded = [score for score in scores if score.kind == RECORDED]
    lines = [
        "params: BN folded. MAdds: convolutions and linear layers. paper ratio: its latency over "
        f"that of {BASELINE}, published ({PAPER_CONDITIONS}).",
        said_of(scores),
    ]
    if recorded and not _all_recorded(scores):
        lines.append(f"Recorded: {', '.join(score.case.network for score in recorded)}.")
    lines.append(mirrored(scores))
    if any(row.untuned for row in evidence.latencies):
        lines.append("untuned: some of its kernels are plain loops; it is never ranked.")
    lines += _remarks(evidence)
    if left_out:
        lines.append(f"In the report too: {', '.join(one.label for one in left_out)}.")
    return escape("\n".join(filter(None, lines)))


def _remarks(evidence: Evidence) -> list[str]:
    """Return what limits the meaning of times, each with the networks of which it is true."""
    found: dict[str, dict[str, None]] = {}
    for row in evidence.latencies:
        if row.remark and row.setting.threads == THREADS:
            found.setdefault(row.remark, {})[plain(row.network)] = None
    return [f"{remark} (in {', '.join(names)})." for remark, names in found.items()]


def _first_cores(evidence: Evidence) -> list[EmulatedCore]:
    """Return the first emulated core of each runtime."""
    first: dict[str, EmulatedCore] = {}
    for place in places(evidence):
        first.setdefault(place.case.runtime, place)
    return list(first.values())


def _emulated(evidence: Evidence, shown: Sequence[EmulatedCore]) -> Table:
    """Return the table: networks down; instructions and modelled time of each runtime on its first
    emulated core.
    """
    table = Table(
        title="ARM cores, emulated: instructions counted, times modelled, nothing timed",
        caption=f"ms and ratio to {BASELINE}: modelled, 1 thread; docs/model.md.",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1),
    )
    table.add_column("network", no_wrap=True, max_width=_MOST_NAME)
    for place in shown:
        core = f"{place.core} untuned" if place.untuned else place.core
        where = f"{place.case.runtime}\n{core}"
        for head in (f"{where}\nM instr.", "\n\nms", "\n\nratio"):
            table.add_column(escape(head), justify="right", no_wrap=True)
    table.add_column("paper\n\nratio", justify="right", no_wrap=True)
    for network in evidence.networks:
        rows = [place.row(network) for place in shown]
        if any(rows):
            cells = [network, *_work(rows, shown), _published(rows, evidence)]
            table.add_row(*(escape(plain(text)) for text in cells))
    return table


def _work(rows: Sequence[EmulatedRow | None], shown: Sequence[EmulatedCore]) -> list[str]:
    texts = []
    for place, row in zip(shown, rows, strict=True):
        counted = row.counted if row else None
        ms = row.milliseconds if row else None
        ratio = place.ratio(row) if row else None
        gap = row.counts.status if row and row.counts else NOTHING.text
        texts += [
            gap if counted is None else millions(counted.work.instructions),
            NOTHING.text if row is None or ms is None else _modelled(row, ms),
            NOTHING.text if ratio is None else f"{ratio.value:.2f}",
        ]
    return texts


def _modelled(row: EmulatedRow, ms: float) -> str:
    interval = row.modelled.interval_ms if row.modelled else None
    if interval is None:
        return significant(ms, 3)
    low, high = interval
    return f"{significant(ms, 3)} ({significant(low, 2)}–{significant(high, 2)})"


def _published(rows: Sequence[EmulatedRow | None], evidence: Evidence) -> str:
    ratio = next((paper_ratio(evidence, row) for row in rows if row), None)
    return NOTHING.text if ratio is None else f"{ratio:.2f}"
