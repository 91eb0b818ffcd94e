"""The JSON that github-action-benchmark takes as `customSmallerIsBetter`.

Format: https://github.com/benchmark-action/github-action-benchmark, "Custom benchmark".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from facebench.harness.comparison.entry import Entry
from facebench.harness.comparison.wording import case_text
from facebench.harness.records.comparable import Decided, Figure, Timed


def to_json(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Return all figures; of shares, which are better the larger, the rest to one."""
    return [_figure(entry, figure) for entry in entries for figure in entry.figures]


def _figure(entry: Entry, figure: Figure) -> dict[str, Any]:
    name = f"{case_text(entry.case)}: {figure.name}"
    if isinstance(figure, Decided):
        value, unit = 100 * (1 - figure.value), "%"
        return {"name": f"{name}, errors", "unit": unit, "value": value, "extra": entry.kind}
    made = {"name": name, "unit": figure.unit or "count", "value": figure.value}
    if isinstance(figure, Timed) and len(figure.medians) > 1:
        # The range of the processes, half of it to each side.
        made["range"] = f"± {(max(figure.medians) - min(figure.medians)) / 2:.3g}"
    return made | {"extra": " ".join(filter(None, (entry.kind, entry.label)))}
