"""Writes figures with their intervals, for cells of a terminal's tables."""

from __future__ import annotations

from collections.abc import Callable

from facebench.harness.records.accuracy import Bounded


def percent(found: Bounded) -> str:
    """Return a share in percent, with its interval below."""
    return bounded(found, lambda share: f"{100 * share:.2f}")


def bounded(found: Bounded, text: Callable[[float], str]) -> str:
    """Return a figure and its interval, which is one-sided where not one error is seen."""
    value = text(found.value)
    if found.interval is None:
        return value
    low, high = map(text, found.interval)
    if found.value in (0.0, 1.0) and found.note:
        return f"{value}\nat least {low}" if found.value else f"{value}\nat most {high}"
    return f"{value}\n{low} to {high}"
