"""JSON of hyperfine: `--export-json`, of its versions 1 and 2.

Format: https://github.com/sharkdp/hyperfine, "Exporting results".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from facebench.harness.comparison.entry import Entry
from facebench.harness.comparison.tools.registry import BenchmarkTool, register, times

NAME = "hyperfine"


def _is_one(data: Any) -> bool:
    results = data.get("results") if isinstance(data, dict) else None
    return isinstance(results, list) and all(
        isinstance(one, dict) and "command" in one for one in results
    )


def _read(data: Mapping[str, Any]) -> list[Entry]:
    """Return the wall times; each run of a command is a process of its own, all in one job."""
    return [_entry(one) for one in data["results"]]


def _entry(one: Mapping[str, Any]) -> Entry:
    seconds, codes = _runs(one)
    failed = sum(code != 0 for code in codes)
    doubts = (f"{failed} of {len(codes)} runs ended with an error",) if failed else ()
    name = str(one.get("name") or one["command"])
    return times(NAME, name, [1e3 * float(time) for time in seconds], doubts=doubts)


def _runs(one: Mapping[str, Any]) -> tuple[Sequence[float], Sequence[int | None]]:
    """Return seconds and exit codes of the runs; without them, the median alone."""
    if measured := one.get("measurements"):
        return (
            [run["time_wall_clock"]["value"] for run in measured],
            [run.get("exit_code", 0) for run in measured],
        )
    return one.get("times") or [one["median"]], one.get("exit_codes") or []


register(BenchmarkTool(NAME, _is_one, _read))
