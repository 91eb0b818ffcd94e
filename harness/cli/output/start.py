"""Tables of what a process takes beside its median time, and of images a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rich.markup import escape
from rich.table import Table

from facebench.harness.records.case import Case
from facebench.harness.records.latency import Latency
from facebench.harness.records.record import Record
from facebench.harness.records.throughput import Throughput

_UNKNOWN = "–"

WARM_CACHE = (
    "import: of the runtime's Python package. load: from the artifact on disk, which the system's "
    "page cache holds already, to a session.\nadds: peak memory beyond what the process held "
    "before. Medians of the processes."
)


def starts(records: Sequence[Record]) -> Table | None:
    """Return a table with cases down; start, memory and energy across. None where no process tells
    of them.
    """
    found = [(r, r.result) for r in records if isinstance(r.result, Latency)]
    known = [(record.case, result) for record, result in found if result.open_ms is not None]
    if not known:
        return None
    table = Table(show_edge=False, caption=WARM_CACHE, caption_justify="left")
    table.add_column("network", no_wrap=True)
    energy = any(result.joules is not None for _, result in known)
    heads = ["import ms", "load ms", "first ms", "steady ms", "first/steady", "peak MB", "adds MB"]
    heads += ["mJ an inference", "above idle"] if energy else []
    for name in ("runtime", "precision", "threads", *heads):
        table.add_column(name, justify="right")
    for case, result in known:
        cells = [_ms(result.import_ms), _ms(result.open_ms), _ms(result.first_ms)]
        cells += [_ms(result.median_ms), _times(result), *_megabytes(result)]
        cells += [_millijoules(result.joules), _millijoules(result.net_joules)] if energy else []
        table.add_row(escape(case.network), case.runtime, case.precision, str(case.threads), *cells)
    return table


def throughputs(records: Sequence[Record]) -> Table:
    """Return a table with networks, runtimes and batches down, threads across; median of the
    windows and interval.
    """
    rows: dict[Case, dict[int, Record]] = {}
    for record in records:
        if record.case.measure == "throughput":
            rows.setdefault(_row(record.case), {})[record.case.threads] = record
    counts = sorted({count for row in rows.values() for count in row})
    table = Table(show_edge=False, title="images a second", title_justify="left")
    table.add_column("network", no_wrap=True)
    for name in ("runtime", "precision", "batch", *map(_threads, counts)):
        table.add_column(name, justify="right")
    for case, row in rows.items():
        cells = [_rate(row.get(count)) for count in counts]
        table.add_row(escape(case.network), case.runtime, case.precision, str(case.batch), *cells)
    return table


def _row(case: Case) -> Case:
    return replace(case, threads=0)


def _threads(count: int) -> str:
    return f"{count} thread{'s' * (count != 1)}"


def _rate(record: Record | None) -> str:
    if record is None:
        return _UNKNOWN
    if not isinstance(result := record.result, Throughput):
        return record.status
    lower, upper = result.interval
    label = f" {result.label}" if result.label else ""
    return f"{result.images_per_second:.3g} [{lower:.3g}, {upper:.3g}]{label}"


def _ms(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:.3g}"


def _times(result: Latency) -> str:
    return _UNKNOWN if result.first_ms is None else f"{result.first_ms / result.median_ms:.2g}"


def _megabytes(result: Latency) -> list[str]:
    return [
        _UNKNOWN if size is None else f"{size / 1e6:.1f}"
        for size in (result.peak_bytes, result.added_bytes)
    ]


def _millijoules(joules: float | None) -> str:
    return _UNKNOWN if joules is None else f"{joules * 1e3:.3g}"
