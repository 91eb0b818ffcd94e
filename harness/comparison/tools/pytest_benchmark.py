"""JSON files of pytest-benchmark, read as times and written for tools that read them.

The format is that of its `--benchmark-json` (version 5 of the tool; times in seconds).
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np

from facebench.harness.comparison.entry import Entry
from facebench.harness.comparison.tools.registry import BenchmarkTool, register, renamed
from facebench.harness.records.case import Case
from facebench.harness.records.comparable import Timed
from facebench.harness.storage.serialization import convert

RUNTIME = "pytest-benchmark"

# Under this name our own facts travel in a benchmark's `extra_info`.
_EXTRA = "facebench"

# How a machine is called there, and here.
_FACTS = {"machine": "machine", "release": "kernel", "python_version": "python"}


def read(data: Mapping[str, Any]) -> list[Entry]:
    """Return a file's benchmarks; all rounds of a foreign one are of one process."""
    machine = data.get("machine_info") or {}
    created = str(data.get("datetime", ""))
    return [_entry(one, _environment(machine), created) for one in data["benchmarks"]]


def write(entries: Sequence[Entry]) -> dict[str, Any]:
    """Return a file's data: each case a benchmark, the median of each process a round."""
    timed = [
        (entry, figure)
        for entry in entries
        for figure in entry.figures
        if isinstance(figure, Timed)
    ]
    return {
        "machine_info": _machine(timed[0][0].environment if timed else {}),
        "commit_info": {},
        "benchmarks": [_benchmark(entry, figure) for entry, figure in timed],
        "datetime": datetime.now(UTC).isoformat(),
        "version": "5.0.0",
    }


def _entry(one: Mapping[str, Any], environment: dict[str, Any], created: str) -> Entry:
    ours = (one.get("extra_info") or {}).get(_EXTRA)
    if ours:
        figure = convert(ours["timed"], Timed)
        case = convert(ours["case"], Case)
        environment = dict(ours["environment"])
        label = str(ours["label"])
    else:
        stats = one["stats"]
        median, rounds = convert((stats["median"], stats["rounds"]), tuple[float, int])
        figure = Timed("latency", "ms", (1e3 * median,), (rounds,))
        case = Case("latency", str(one.get("fullname") or one["name"]), "", runtime=RUNTIME)
        label = ""
    return Entry(case, "measured", label=label, environment=environment, figures=(figure,),
                 created=created)  # fmt: skip


def _environment(machine: Mapping[str, Any]) -> dict[str, Any]:
    found = renamed(machine, _FACTS)
    cpu = machine.get("cpu") or {}
    return found | ({"cpu_model": cpu["brand_raw"]} if cpu.get("brand_raw") else {})


def _machine(environment: Mapping[str, Any]) -> dict[str, Any]:
    known = {theirs: environment.get(ours, "") for theirs, ours in _FACTS.items()}
    return known | {
        "node": str(environment.get("host", "")),
        "processor": "",
        "system": "Linux",
        "python_implementation": "CPython",
        "python_implementation_version": known["python_version"],
        "cpu": {"brand_raw": environment.get("cpu_model", "")},
    }


def _benchmark(entry: Entry, figure: Timed) -> dict[str, Any]:
    name = f"{entry.case}, {entry.case.threads} threads, batch {entry.case.batch}"
    ours = {
        "case": asdict(entry.case),
        "timed": asdict(figure),
        "environment": entry.environment,
        "label": entry.label,
    }
    return {
        "group": entry.case.measure,
        "name": name,
        "fullname": f"facebench::{name}",
        "params": None,
        "param": None,
        "extra_info": {_EXTRA: ours},
        "options": {},
        "stats": _stats([median / 1e3 for median in figure.medians]),
    }


def _stats(seconds: Sequence[float]) -> dict[str, Any]:
    low, middle, high = (float(q) for q in np.quantile(seconds, (0.25, 0.5, 0.75)))
    iqr = high - low
    mean, spread = statistics.mean(seconds), float(np.std(seconds, ddof=len(seconds) > 1))
    near = [s for s in seconds if low - 1.5 * iqr <= s <= high + 1.5 * iqr]
    outside = sum(abs(s - mean) > spread for s in seconds)
    return {
        "min": min(seconds),
        "max": max(seconds),
        "mean": mean,
        "stddev": spread,
        "rounds": len(seconds),
        "median": middle,
        "iqr": iqr,
        "q1": low,
        "q3": high,
        "iqr_outliers": len(seconds) - len(near),
        "stddev_outliers": outside,
        "outliers": f"{outside};{len(seconds) - len(near)}",
        "ld15iqr": min(near),
        "hd15iqr": max(near),
        "ops": 1 / mean,
        "total": sum(seconds),
        "iterations": 1,
        "data": list(seconds),
    }


def _is_one(data: Any) -> bool:
    benchmarks = data.get("benchmarks") if isinstance(data, dict) else None
    return isinstance(benchmarks, list) and "context" not in data


register(BenchmarkTool(RUNTIME, _is_one, read))
