"""Prints what a plan holds and how long it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from rich.table import Table

from facebench.harness.cli.output import terminal
from facebench.harness.runs.estimate import EstimateRow


def holds(rows: Sequence[EstimateRow], timed: bool) -> Table:
    """Return a table of measures: how many cases, how many are done, and what the rest takes."""
    names = ["cases", "done", *(["to run", "one by one", "times from"] if timed else ["to run"])]
    table = terminal.new_table("measure", *names)
    for row in rows:
        left = row.cases - row.stored
        cells = [row.measure, str(row.cases), str(row.stored), str(left)]
        if timed:
            known = left > row.sources["unknown"]
            cells += [duration(row.seconds) if known else "–", _sources(row)]
        table.add_row(*cells)
    return table


def durations(rows: Sequence[EstimateRow], took: Mapping[int, float], cores: int) -> Iterator[str]:
    """Yield what the whole takes by the number of machines, and what is not in that."""
    unknown = sum(row.sources["unknown"] for row in rows)
    least = "at least " if unknown else ""
    for machines, seconds in took.items() if any(row.seconds for row in rows) else ():
        where = "here" if machines == 1 else f"on {machines} machines"
        yield f"{where}, of {cores} cores each: {least}{duration(seconds)} (simulated)"
    if took and unknown:
        yield (
            f"no record tells how long {unknown} cases take, which are left out: name records of "
            "such with --from, or run some first"
        )


def duration(seconds: float) -> str:
    """Return a duration in hours, minutes and seconds."""
    return str(timedelta(seconds=round(seconds))) if seconds >= 1 else f"{seconds:.1f} s"


def _sources(row: EstimateRow) -> str:
    return ", ".join(f"{source}: {count}" for source, count in row.sources.items() if count)
