"""Results files of airspeed velocity, in `results/<machine>/` of its project.

Format: https://asv.readthedocs.io, "Benchmark types and attributes" and "Results"; version 2.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from facebench.harness.comparison.entry import Entry
from facebench.harness.comparison.tools.registry import (
    BenchmarkTool,
    register,
    renamed,
    times,
    without,
)

NAME = "asv"
_FACTS = {"arch": "machine", "cpu": "cpu_model", "num_cpu": "cores", "os": "system",
          "python": "python", "machine": "host"}  # fmt: skip
# How asv knows the type of a benchmark by its name; only these give times.
_TIMES = ("time_", "timeraw_", "Time", "Timeraw")


def _is_one(data: Any) -> bool:
    return isinstance(data, dict) and {"commit_hash", "result_columns", "results"} <= data.keys()


def _read(data: Mapping[str, Any]) -> list[Entry]:
    """Return the times; samples of several processes are not told apart in the file."""
    machine = renamed(data.get("params") or {}, _FACTS)
    facts = {
        "environment": machine | ({"python": data["python"]} if data.get("python") else {}),
        "created": datetime.fromtimestamp(data.get("date", 0) / 1e3, UTC).isoformat(),
        "revision": str(data["commit_hash"]),
    }
    columns = data["result_columns"]
    return [
        entry
        for name, row in data["results"].items()
        for entry in _entries(name, dict(zip(columns, row, strict=False)), facts)
    ]


def _entries(name: str, row: Mapping[str, Any], facts: dict[str, Any]) -> Iterator[Entry]:
    """Yield a benchmark, once for each combination of its parameters."""
    # Another version of a benchmark is other code that is timed.
    facts = facts | {"label": f"benchmark {str(row.get('version') or 'unknown')[:12]}"}
    if not name.rpartition(".")[2].startswith(_TIMES):
        reason = "of asv's benchmarks only times are compared"
        yield without(NAME, name, "refused", reason, **facts)
        return
    results = row.get("result")
    for number, chosen in enumerate(itertools.product(*(row.get("params") or []))):
        full = f"{name}({', '.join(map(str, chosen))})" if chosen else name
        seconds = results[number] if results else None
        samples = row.get("samples") or []
        if seconds is None:
            yield without(NAME, full, "failed", "asv has no result of it", **facts)
        elif seconds == seconds:  # it is not a number where asv was told to leave it out
            count = len(samples[number]) if len(samples) > number and samples[number] else 1
            yield times(NAME, full, [1e3 * float(seconds)], count, **facts)


register(BenchmarkTool(NAME, _is_one, _read))
