"""Draws how the times of the baseline spread: a line for each process, a panel for each runtime."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facebench.harness.records.latency import Latency
from facebench.reports.comparison import THREADS, representative
from facebench.reports.evidence import BASELINE, Evidence
from facebench.reports.figures import FIGURES, Drawing
from facebench.reports.figures.style import Theme, new, short
from facebench.reports.tables import LatencyRow, settings

_COLUMNS, _MOST_PANELS = 3, 9

# Of the samples; beyond it a few interrupted inferences would press the rest together.
_SHOWN = 0.99


def draw(evidence: Evidence, theme: Theme) -> Figure:
    """Draw small panels, each with an axis of its own: runtimes differ by factors."""
    rows = _rows(evidence)[:_MOST_PANELS]
    columns = min(_COLUMNS, len(rows))
    lines = -(-len(rows) // columns)
    figure = new(theme, max(1.0 + 2.8 * columns, 5.6), 0.8 + 2.0 * lines)
    grid = figure.subplots(lines, columns, sharey=True, squeeze=False)
    for axes, row in zip(grid.flat, rows, strict=False):
        _panel(axes, row, theme)
    for axes in list(grid.flat)[len(rows) :]:
        axes.set_visible(False)
    figure.supxlabel(f"time of one inference, ms, {THREADS} thread", fontsize="medium")
    figure.supylabel("share of inferences that took no longer", fontsize="medium")
    return figure


def caption(evidence: Evidence) -> str:
    """Return how to read it."""
    count = len(_rows(evidence))
    cut = f" The first {_MOST_PANELS} of {count} runtimes." if count > _MOST_PANELS else ""
    return (
        f"Times of {BASELINE}: each line is one process, steep where its times agree. Lines beside "
        "each other are processes that differ; a long way to the upper right is a tail. The band "
        f"is the 95 % interval of the median. The slowest 1 % are not shown.{cut}"
    )


def kinds(evidence: Evidence) -> tuple[str, ...]:
    """Return how the times were obtained."""
    return tuple(dict.fromkeys(row.setting.kind for row in _rows(evidence)))


def shows(evidence: Evidence) -> bool:
    """Return whether the baseline was timed."""
    return bool(_rows(evidence))


def _rows(evidence: Evidence) -> list[LatencyRow]:
    found = [
        representative(evidence, BASELINE, one)
        for one in settings(evidence.latencies, threads=THREADS)
        if one.batch == 1 and not one.denormals
    ]
    return [row for row in found if row is not None and row.median is not None]


def _panel(axes: Axes, row: LatencyRow, theme: Theme) -> None:
    result, median = row.record.result, row.median
    assert isinstance(result, Latency)
    assert median is not None
    axes.axvspan(median.low, median.high, color=theme.grid, zorder=1)
    for index, samples in enumerate(result.by_process):
        ordered = np.sort(samples)
        shares = np.arange(1, len(ordered) + 1) / len(ordered)
        axes.step(ordered, shares, where="post", color=theme.colour(index), linewidth=1.0, zorder=3)
    axes.set_xlim(result.minimum_ms * 0.98, float(np.quantile(result.samples_ms, _SHOWN)) * 1.02)
    axes.set_ylim(0, 1)
    axes.set_title(short(row.setting.label, 26))


FIGURES.add(
    "distribution",
    Drawing("distribution", 50, "How single inferences spread", draw, caption, kinds, shows),
)
