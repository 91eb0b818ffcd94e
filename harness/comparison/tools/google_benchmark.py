"""JSON of Google Benchmark: `--benchmark_format=json` or `--benchmark_out`.

Format: https://google.github.io/benchmark/user_guide.html, "Output Formats".
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from facebench.harness.comparison.entry import Entry
from facebench.harness.comparison.tools.registry import (
    MILLISECONDS,
    BenchmarkTool,
    register,
    renamed,
    times,
    without,
)

NAME = "Google Benchmark"
# Before 1.5 an aggregate is told by its name alone.
_OLD_AGGREGATE = re.compile(r"_(mean|median|stddev|BigO|RMS)$")
_FACTS = {"host_name": "host", "num_cpus": "cores"}

Run = Mapping[str, Any]


def _is_one(data: Any) -> bool:
    return (
        isinstance(data, dict)
        and isinstance(data.get("context"), dict)
        and isinstance(data.get("benchmarks"), list)
    )


def _read(data: Mapping[str, Any]) -> list[Entry]:
    """Return the wall times; all repetitions of a file are of one process."""
    context = data["context"]
    facts = {
        "environment": renamed(context, _FACTS),
        "created": str(context.get("date", "")),
        "doubts": tuple(_doubts(context)),
    }
    runs: dict[str, list[Run]] = {}
    for one in data["benchmarks"]:
        runs.setdefault(_name(one), []).append(one)
    found = (_entry(name, of_one, facts) for name, of_one in runs.items())
    return [entry for entry in found if entry is not None]


def _entry(name: str, runs: Sequence[Run], facts: dict[str, Any]) -> Entry | None:
    """Return a benchmark; None of what is fitted to several, such as a complexity."""
    for one in runs:
        if one.get("error_occurred"):
            return without(NAME, name, "failed", str(one.get("error_message", "")), **facts)
        if one.get("skipped"):
            return without(NAME, name, "refused", str(one.get("skip_message", "")), **facts)
    repeated = [_milliseconds(one) for one in runs if not _aggregate(one)]
    if repeated:
        return times(NAME, name, [statistics.median(repeated)], len(repeated), **facts)
    # Only aggregates were written.
    told = {_aggregate(one): one for one in runs}
    chosen = told.get("median", told.get("mean"))
    if chosen is None:
        return None
    return times(NAME, name, [_milliseconds(chosen)], int(chosen.get("repetitions", 1)), **facts)


def _name(one: Run) -> str:
    return str(one.get("run_name") or _OLD_AGGREGATE.sub("", one["name"]))


def _aggregate(one: Run) -> str:
    """Return which aggregate a run is; empty where it is a run itself."""
    if "run_type" in one:
        return str(one["aggregate_name"]) if one["run_type"] == "aggregate" else ""
    found = _OLD_AGGREGATE.search(one["name"])
    return found[1] if found else ""


def _milliseconds(one: Run) -> float:
    return float(one["real_time"]) * MILLISECONDS[one.get("time_unit", "ns")]


def _doubts(context: Mapping[str, Any]) -> Iterator[str]:
    if context.get("library_build_type") == "debug":
        yield "the benchmark's library was built for debugging"
    if context.get("cpu_scaling_enabled"):
        yield "the CPU's clock was free to change"


register(BenchmarkTool(NAME, _is_one, _read))
