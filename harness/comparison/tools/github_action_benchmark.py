"""JSON of github-action-benchmark: a list of custom benchmarks, or the history that it keeps.

Format: https://github.com/benchmark-action/github-action-benchmark, "Custom benchmark".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from facebench.harness.comparison.entry import Entry
from facebench.harness.comparison.tools.registry import (
    MILLISECONDS,
    BenchmarkTool,
    register,
    times,
    without,
)

NAME = "github-action-benchmark"
_FIELDS = {"name", "unit", "value"}
_RATES = frozenset({"iter/sec", "iter/s", "ops/sec", "ops/s"})


def _is_one(data: Any) -> bool:
    return _is_list(data) or _is_history(data)


def _is_list(data: Any) -> bool:
    return isinstance(data, list) and bool(data) and all(map(_is_figure, data))


def _is_history(data: Any) -> bool:
    return isinstance(data, dict) and isinstance(data.get("entries"), dict) and "lastUpdate" in data


def _is_figure(data: Any) -> bool:
    return isinstance(data, dict) and data.keys() >= _FIELDS


def _read(data: Any) -> list[Entry]:
    """Return each figure as one process gave it; of a history, those of the newest commit."""
    if isinstance(data, list):
        return [_entry(one, str(one["name"])) for one in data]
    found = []
    for suite, runs in data["entries"].items():
        newest = max(runs, key=lambda run: run["date"])
        revision = str(newest["commit"]["id"])
        found += [
            _entry(one, f"{suite}: {one['name']}", revision=revision) for one in newest["benches"]
        ]
    return found


def _entry(one: Mapping[str, Any], name: str, **facts: Any) -> Entry:
    unit, value = str(one["unit"]).strip(), float(one["value"])
    if unit in _RATES:
        return times(NAME, name, [1e3 / value], **facts)
    factor = MILLISECONDS.get(unit.removesuffix("/iter").removesuffix("/op"))
    if factor is None:
        reason = (
            f"the file does not say whether less is better in {unit!r}; only times are compared"
        )
        return without(NAME, name, "refused", reason, **facts)
    return times(NAME, name, [factor * value], **facts)


register(BenchmarkTool(NAME, _is_one, _read))
