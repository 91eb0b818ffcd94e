"""Draws MAdds against latency, a panel for each runtime."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from facebench.reports.comparison import THREADS, representative
from facebench.reports.digits import Estimate
from facebench.reports.evidence import BASELINE, Evidence
from facebench.reports.figures import FIGURES, Drawing
from facebench.reports.figures.labels import name_points
from facebench.reports.figures.style import Theme, new, settle, short, sides
from facebench.reports.tables import Setting, settings

COLUMNS = 3
MOST_PANELS = 12

# Points of a panel, beyond which they are a picture: as shapes, thousands take megabytes.
_MOST_SHAPES = 300

Point = tuple[str, float, Estimate, bool]


def draw(evidence: Evidence, theme: Theme) -> Figure:
    """Draw small panels with common axes, so that runtimes compare at a glance."""
    panels = _settings(evidence)[:MOST_PANELS]
    columns = min(COLUMNS, len(panels))
    lines = -(-len(panels) // columns)
    figure = new(theme, 1.0 + 3.1 * columns, 0.6 + 2.6 * lines)
    grid = figure.subplots(lines, columns, sharex=True, squeeze=False)
    flat = list(grid.flat)
    points = [_points(evidence, setting) for setting in panels]
    for axes, setting, found in zip(flat, panels, points, strict=False):
        _panel(axes, setting, found, theme)
    for axes in flat[len(panels) :]:
        axes.set_visible(False)
    _share_scale([a for a, found in zip(flat, points, strict=False) if not _untuned(found)])
    figure.supxlabel("MAdds of one image, millions (conv+linear, log scale)", fontsize="medium")
    figure.supylabel(f"median time, ms, {THREADS} thread (log scale)", fontsize="medium")
    # Where labels may go is known only once the panels have their final size.
    settle(figure)
    for axes, found in zip(flat, points, strict=False):
        name_points(axes, [(name, madds, median.value) for name, madds, median, _ in found], theme)
    return figure


def caption(evidence: Evidence) -> str:
    """Return how to read it."""
    count = len(_settings(evidence))
    cut = f" The first {MOST_PANELS} of {count} runtimes." if count > MOST_PANELS else ""
    return (
        "If MAdds decided the time, the points of a panel would lie along its dotted line, which "
        "passes through the baseline (filled) at constant time per MAdd. Bars are 95 % "
        "intervals; all but untuned code share one time scale. "
        f"Points that crowd each other are left unnamed; the CSV files name all.{cut}"
    )


def kinds(evidence: Evidence) -> tuple[str, ...]:
    """Return how the times and the counts were obtained."""
    return (*dict.fromkeys(one.kind for one in _settings(evidence)), "counted")


def shows(evidence: Evidence) -> bool:
    """Return whether any network has both a time and a cost."""
    return bool(_settings(evidence))


def _settings(evidence: Evidence) -> list[Setting]:
    found = settings(evidence.latencies, threads=THREADS)
    return [one for one in found if _points(evidence, one)]


def _points(evidence: Evidence, setting: Setting) -> list[Point]:
    found = []
    for network in evidence.networks:
        row = representative(evidence, network, setting)
        cost = evidence.costs.get(network)
        if row and row.median and cost and "conv+linear" in cost.madds:
            found.append((network, cost.madds["conv+linear"] / 1e6, row.median, row.untuned))
    return found


def _panel(axes: Axes, setting: Setting, points: Sequence[Point], theme: Theme) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    faded = 0.55 if _untuned(points) else 1.0
    _markers(axes, [p for p in points if p[0] != BASELINE], theme.faint, theme.background, faded)
    base = [point for point in points if point[0] == BASELINE]
    _markers(axes, base, theme.accent, theme.accent, 1.0)
    for _, madds, median, _ in base:
        there = (2 * madds, 2 * median.value)
        axes.axline((madds, median.value), there, color=theme.faint, linestyle=":", zorder=1)
    untuned_word = " (untuned, own scale)" if _untuned(points) else ""
    axes.set_title(f"{short(setting.label)}{untuned_word}")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(10, (1, 2, 3, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())


def _markers(axes: Axes, points: Sequence[Point], edge: str, fill: str, alpha: float) -> None:
    many = len(points) > _MOST_SHAPES
    axes.errorbar(
        [madds for _, madds, _, _ in points],
        [median.value for _, _, median, _ in points],
        yerr=sides([median for _, _, median, _ in points]),
        fmt="o",
        color=edge,
        # A picture of the points has one colour on light pages and on dark ones.
        markerfacecolor="none" if many else fill,
        rasterized=many,
        alpha=alpha,
        zorder=3,
    )


def _share_scale(panels: Sequence[Axes]) -> None:
    """Give all tuned code one time scale; untuned code, far off, keeps its own."""
    if not panels:
        return
    limits = [axes.get_ylim() for axes in panels]
    for axes in panels:
        axes.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))


def _untuned(points: Sequence[Point]) -> bool:
    return any(point[3] for point in points)


FIGURES.add(
    "madds_latency",
    Drawing(
        "madds_latency",
        30,
        "MAdds alone do not say how long a network takes",
        draw,
        caption,
        kinds,
        shows,
    ),
)
