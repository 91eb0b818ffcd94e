"""Draws rates below the roofline, a panel for each machine or core and number of threads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from facebench.reports.evidence import BASELINE, Evidence
from facebench.reports.figures import FIGURES, Drawing
from facebench.reports.figures.labels import Named, name_points
from facebench.reports.figures.style import MARKERS, Theme, new, settle, short
from facebench.reports.limits import Limit, Roof, limits, roofs_of

COLUMNS = 2
MOST_PANELS = 6

# Room beyond the outermost points, as a factor.
MARGIN = 1.6

# Beyond what any panel shows, in multiply-adds a byte.
FAR_LEFT, FAR_RIGHT = 1e-6, 1e9

# Points that a roof is taken for where names are placed.
STEPS = 100

# A runtime, and whether its code is untuned.
Series = tuple[str, bool]


def draw(evidence: Evidence, theme: Theme) -> Figure:
    """Draw panels with one scale of intensity; runtimes by marker and colour, the baseline
    filled.
    """
    found = limits(evidence)
    roofs = roofs_of(found)[:MOST_PANELS]
    columns = min(COLUMNS, len(roofs))
    lines = -(-len(roofs) // columns)
    figure = new(theme, max(0.8 + 4.2 * columns, 5.6), 1.0 + 3.3 * lines)
    grid = figure.subplots(lines, columns, sharex=True, squeeze=False)
    flat = list(grid.flat)
    series = list(dict.fromkeys(_series(one) for one in found if one.roof in roofs))
    below = [[one for one in found if one.roof == roof] for roof in roofs]
    for axes, roof, points in zip(flat, roofs, below, strict=False):
        _panel(axes, roof, points, series, theme)
    for axes in flat[len(roofs) :]:
        axes.set_visible(False)
    _share_width(flat[0], [one for points in below for one in points], roofs)
    figure.supxlabel("multiply-adds per byte (log scale)", fontsize="medium")
    figure.supylabel("billion multiply-adds a second (log scale)", fontsize="medium")
    _legend(figure, series, theme)
    # Where names may go is known only once the panels have their final size.
    settle(figure)
    for axes, roof, points in zip(flat, roofs, below, strict=False):
        name_points(axes, _fastest(points), theme, keep_free=_drawn(axes, roof, points))
    return figure


def _fastest(points: Sequence[Limit]) -> list[Named]:
    """Return the topmost point of each network, which bears its name."""
    highest = {one.network: one for one in sorted(points, key=lambda one: one.rate.value)}
    return [(name, one.intensity, one.rate.value / 1e9) for name, one in highest.items()]


def _drawn(axes: Axes, roof: Roof, points: Sequence[Limit]) -> list[tuple[float, float]]:
    """Return all points, and the roof as points so near each other that no name fits between."""
    left, right = axes.get_xlim()
    line = [left * (right / left) ** (step / STEPS) for step in range(STEPS + 1)]
    spots = [(one.intensity, one.rate.value / 1e9) for one in points]
    return spots + [(x, roof.rate(x) / 1e9) for x in line]


def _series(one: Limit) -> Series:
    return one.setting.runtime, one.untuned


def _panel(
    axes: Axes, roof: Roof, points: Sequence[Limit], series: Sequence[Series], theme: Theme
) -> None:
    peak = roof.multiply_adds_per_s / 1e9
    lowest = FAR_LEFT * roof.memory_bytes_per_s / 1e9
    axes.plot([FAR_LEFT, roof.ridge, FAR_RIGHT], [lowest, peak, peak], color=theme.ink, zorder=2)
    if roof.cache_ridge:
        lowest = FAR_LEFT * roof.cache_bytes_per_s / 1e9
        corners = [FAR_LEFT, roof.cache_ridge, roof.ridge], [lowest, peak, peak]
        axes.plot(*corners, color=theme.faint, linestyle="dashed", linewidth=1.1, zorder=2)
    for one in points:
        index = series.index(_series(one))
        base = one.network == BASELINE
        rate = one.rate
        axes.errorbar(
            [one.intensity],
            [rate.value / 1e9],
            yerr=[[(rate.value - rate.low) / 1e9], [(rate.high - rate.value) / 1e9]],
            zorder=4 if base else 3,
            **_look(index, theme, filled=base),
        )
    modelled = "" if roof.kind == "measured" else ", modelled"
    axes.set_title(f"{short(roof.place)}, {roof.threads_text}{modelled}")
    _scale(axes, [one.rate.value / 1e9 for one in points], peak)


def _look(index: int, theme: Theme, *, filled: bool) -> dict[str, Any]:
    colour = theme.colour(index)
    return {
        "marker": MARKERS[index % len(MARKERS)],
        "color": colour,
        "markerfacecolor": colour if filled else theme.background,
        "linestyle": "none",
    }


def _scale(axes: Axes, rates: Sequence[float], peak: float) -> None:
    """Logarithmic, and up from the lowest point of the panel."""
    axes.set(xscale="log", yscale="log")
    axes.set_ylim(min([*rates, peak]) / MARGIN, max([*rates, peak]) * MARGIN)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(10, (1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())


def _share_width(axes: Axes, points: Sequence[Limit], roofs: Sequence[Roof]) -> None:
    """Give all panels one scale of intensity, from left of every ridge."""
    across = [one.intensity for one in points]
    across += [ridge for roof in roofs for ridge in (roof.ridge, roof.cache_ridge) if ridge]
    axes.set_xlim(min(across) / MARGIN, max(across) * MARGIN)


def _legend(figure: Figure, series: Sequence[Series], theme: Theme) -> None:
    handles = [
        Line2D([], [], label=f"{short(runtime)}{' (untuned)' if untuned else ''}",
               **_look(index, theme, filled=True))
        for index, (runtime, untuned) in enumerate(series)
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside upper center", ncols=4)


def caption(evidence: Evidence) -> str:
    """Return how to read it."""
    roofs = roofs_of(limits(evidence))
    cut = f" The first {MOST_PANELS} of {len(roofs)}." if len(roofs) > MOST_PANELS else ""
    cache = " The dashed line is that of the second level of cache."
    published = " Of emulated cores the roof is published and the points are modelled."
    return (
        f"A point is a network under a runtime, {BASELINE} filled; bars are 95 % intervals. The "
        "flat part of the line is the peak of the cores, the slanted one what memory can feed "
        "where every byte comes from there. The topmost point of a network bears its name, where "
        "there is room."
        f"{cache if any(roof.cache_ridge for roof in roofs) else ''}"
        f"{published if any(roof.kind != 'measured' for roof in roofs) else ''}{cut}"
    )


def kinds(evidence: Evidence) -> tuple[str, ...]:
    """Return how the times, the roofs and the counts were obtained."""
    found = limits(evidence)
    times = [one.setting.kind for one in found if one.roof]
    return tuple(dict.fromkeys([*times, *(roof.kind for roof in roofs_of(found)), "counted"]))


def shows(evidence: Evidence) -> bool:
    """Return whether any time has a roof."""
    return bool(roofs_of(limits(evidence)))


FIGURES.add(
    "roofline",
    Drawing(
        "roofline",
        60,
        "How far below the roofline networks run",
        draw,
        caption,
        kinds,
        shows,
    ),
)
