"""The summary that a run ends with, for a terminal of 120 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.markup import escape
from rich.table import Table

from harness.record import Accuracy, Record
from reports.cells import NOTHING, millions, percent
from reports.comparison import THREADS, ComparisonRow, compare, representative
from reports.digits import compact, earned
from reports.evidence import BASELINE, PAPER_CONDITIONS, Evidence
from reports.tables import LatencyRow, Setting
from reports.text import plain

# Runtimes beyond this do not fit beside the rest; the report has them all.
MOST_RUNTIMES = 6
MOST_NAME = 20


def summary(records: Sequence[Record]) -> Table:
    """Networks down, and across: size, MAdds, time by runtime, accuracy, the paper's ratio."""
    evidence = Evidence(records)
    compared = compare(evidence)
    columns = compared.settings[:MOST_RUNTIMES]
    table = Table(
        title=f"Median ms ± half of its 95 % interval, {THREADS} thread",
        caption=_caption(evidence, compared.settings[MOST_RUNTIMES:]),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=0,
    )
    table.add_column("network", no_wrap=True, max_width=MOST_NAME)
    for head in ("params\nfolded M", "MAdds\nM", *(_head(one, evidence) for one in columns)):
        table.add_column(head, justify="right", no_wrap=True)
    for head in ("synth.\n%", "LFW\n%", "paper\nratio"):
        table.add_column(head, justify="right", no_wrap=True)
    for row in compared.rows:
        if row.network is not None:
            table.add_row(*_cells(row, columns, evidence))
    return table


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
        _score(evidence.score(network, "synthetic")),
        _score(evidence.score(network, "lfw")),
        f"{row.paper_ratio:.2f}" if row.paper_ratio is not None else NOTHING.text,
    ]
    return [escape(text) for text in texts]


def _time(row: LatencyRow | None) -> str:
    if row is None:
        return NOTHING.text
    if row.median is None:
        return row.status
    return compact(row.median)


def _score(record: Record | None) -> str:
    if record is None:
        return NOTHING.text
    if record.status != "ok" or not isinstance(record.result, Accuracy):
        return record.status
    return earned(percent(record.result))


def _caption(evidence: Evidence, left_out: Sequence[Setting]) -> str:
    lines = [
        f"MAdds by the convention conv+linear. paper: latency ratio to {BASELINE}, published "
        f"({PAPER_CONDITIONS}). synth.: drawn faces, checks the pipeline only."
    ]
    if any(row.untuned for row in evidence.latencies):
        lines.append("untuned: code without a tuned schedule; it is never ranked.")
    if left_out:
        lines.append(f"Not shown: {', '.join(one.label for one in left_out)}.")
    return escape("\n".join(lines))
