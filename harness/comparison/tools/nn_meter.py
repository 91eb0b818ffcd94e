"""Profiled models of nn-Meter's builder: means of times that were measured on a device.

Format: https://github.com/microsoft/nn-Meter, `nn_meter/builder/backend_meta/utils.py`. Its
predictions it prints and writes into no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from facebench.harness.comparison.entry import Entry
from facebench.harness.comparison.tools.registry import BenchmarkTool, register, times, without

NAME = "nn-Meter"


def _is_one(data: Any) -> bool:
    return isinstance(data, dict) and any(
        isinstance(model, dict) and "+-" in str(model.get("latency"))
        for group in data.values()
        if isinstance(group, dict)
        for model in group.values()
    )


def _read(data: Mapping[str, Any]) -> list[Entry]:
    """Return the models of all groups, such as kernels of a kind, each timed once."""
    return [
        _entry(f"{group}: {name}", model)
        for group, models in data.items()
        for name, model in models.items()
    ]


def _entry(name: str, model: Mapping[str, Any]) -> Entry:
    mean = float(str(model.get("latency", "0")).partition("+-")[0])
    if mean == 0:  # what nn-Meter holds of a model that it could not profile
        return without(NAME, name, "failed", "nn-Meter has no time of it")
    return times(NAME, name, [mean])


register(BenchmarkTool(NAME, _is_one, _read))
