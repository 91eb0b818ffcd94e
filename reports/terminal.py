"""Writes the summary that a run ends with, for a terminal of 120 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.record import Record
from facebench.reports.cells import NOTHING, millions, percent
from facebench.reports.comparison import THREADS, ComparisonRow, compare, representative
from facebench.reports.digits import compact, percentage, significant
from facebench.reports.embedding_time import embedding_time, inferences_of
from facebench.reports.emulated import EmulatedCore, EmulatedRow, paper_ratio, places
from facebench.reports.evidence import BASELINE, PAPER_CONDITIONS, Evidence
from facebench.reports.tables import LatencyRow, Setting
from facebench.reports.text import plain

# Runtimes beyond this do not fit beside the rest; the report has them all.
MOST_RUNTIMES = 6
MOST_EMULATED = 3
MOST_NAME = 20


def summary(records: Sequence[Record]) -> Group:
    """Return what was timed here; below it, where there is any, what was emulated and modelled."""
    evidence = Evidence(records)
    return Group(_timed(evidence), *_emulated(evidence))


def _timed(evidence: Evidence) -> Table:
    """Return the table: networks down, and across: size, MAdds, time by runtime, accuracy, the
    paper's ratio.

    Times are those of an embedding as accuracy, which stands beside them, was scored.
    """
    compared = compare(evidence)
    rows = [row for row in compared.rows if row.network is not None]
    counts = {_inferences(row, evidence) for row in rows}
    # The column that tells rows of one inference from rows of two takes a runtime's room.
    fitting = MOST_RUNTIMES - (len(counts) > 1)
    columns = compared.settings[:fitting]
    table = Table(
        title=f"{_title(counts)} ± half of its 95 % interval, {THREADS} thread",
        caption=_caption(evidence, compared.settings[fitting:], counts),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=0,
    )
    table.add_column("network", no_wrap=True, max_width=MOST_NAME)
    for head in ("params\nfolded M", "MAdds\nM", *(_head(one, evidence) for one in columns)):
        table.add_column(head, justify="right", no_wrap=True)
    if len(counts) > 1:
        table.add_column("inf.", justify="right", no_wrap=True)
    for head in ("synth.\n%", "LFW\n%", "paper\nratio"):
        table.add_column(head, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*_cells(row, columns, evidence, counts))
    return table


def _title(counts: set[int]) -> str:
    return "Median ms" if counts <= {1} else "Median ms of a face’s embedding"


def _head(setting: Setting, evidence: Evidence) -> str:
    rows = [row for row in evidence.latencies if row.setting == setting]
    lines = setting.label.replace("_", "\n").replace(", ", "\n")
    return escape(f"{lines}\nuntuned" if any(row.untuned for row in rows) else lines)


def _cells(
    row: ComparisonRow, columns: Sequence[Setting], evidence: Evidence, counts: set[int]
) -> list[str]:
    network, cost = row.network or "", row.cost
    count = _inferences(row, evidence)
    madds = cost.madds.get("conv+linear") if cost else None
    texts = [
        plain(network),
        millions(cost.parameters_bn_folded) if cost else NOTHING.text,
        millions(madds) if madds is not None else NOTHING.text,
        *(_time(representative(evidence, network, one), count) for one in columns),
        *([str(count)] if len(counts) > 1 else []),
        _score(evidence.score(network, "synthetic")),
        _score(evidence.score(network, "lfw")),
        f"{row.paper_ratio:.2f}" if row.paper_ratio is not None else NOTHING.text,
    ]
    return [escape(text) for text in texts]


def _inferences(row: ComparisonRow, evidence: Evidence) -> int:
    """Return those of one embedding, as the accuracy in the row was scored."""
    network = row.network or ""
    return inferences_of(evidence.score(network, "lfw"), evidence.score(network, "synthetic"))


def _time(row: LatencyRow | None, inferences: int) -> str:
    if row is None:
        return NOTHING.text
    if row.median is None:
        return row.status
    return compact(embedding_time(row.median, inferences))


def _score(record: Record | None) -> str:
    if record is None:
        return NOTHING.text
    if record.status != "ok" or not isinstance(record.result, Accuracy):
        return record.status
    return percentage(percent(record.result))[0]


def _caption(evidence: Evidence, left_out: Sequence[Setting], counts: set[int]) -> str:
    lines = [
        f"MAdds by the convention conv+linear. paper: latency ratio to {BASELINE}, published "
        f"({PAPER_CONDITIONS}). synth.: drawn faces, checks the pipeline only."
    ]
    if 2 in counts:
        which = "inf. (inferences) is 2" if len(counts) > 1 else "All rows"
        lines.append(
            f"{which}: accuracy was scored with each face and its mirror, so the time is that of "
            "two inferences."
        )
    if any(row.untuned for row in evidence.latencies):
        lines.append("untuned: some of its kernels are plain loops; it is never ranked.")
    if left_out:
        lines.append(f"Not shown: {', '.join(one.label for one in left_out)}.")
    return escape("\n".join(lines))


def _emulated(evidence: Evidence) -> list[Table]:
    """Return the table: networks down; instructions and modelled time of each runtime on its first
    emulated core.
    """
    first: dict[str, EmulatedCore] = {}
    for place in places(evidence):
        first.setdefault(place.case.runtime, place)
    shown = list(first.values())[:MOST_EMULATED]
    if not shown:
        return []
    table = Table(
        title="ARM cores, emulated: instructions counted, times modelled, nothing timed",
        caption=f"ms and ratio to {BASELINE}: modelled, 1 thread; docs/model.md.",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1),
    )
    table.add_column("network", no_wrap=True, max_width=MOST_NAME)
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
    return [table]


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
