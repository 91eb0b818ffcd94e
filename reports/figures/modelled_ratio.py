"""Draws modelled against published latency ratios, a panel for each emulated core and runtime."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from facebench.reports.emulated import (
    PAPER_CORE,
    PAPER_RUNTIME,
    PAPER_THREADS,
    EmulatedCore,
    EmulatedRow,
    paper_ratio,
    places,
)
from facebench.reports.evidence import BASELINE, PAPER_CONDITIONS, Evidence
from facebench.reports.figures import FIGURES, Drawing
from facebench.reports.figures.labels import Named, name_points
from facebench.reports.figures.style import Theme, new, settle, short

COLUMNS = 2
MOST_PANELS = 8

# Room beyond the outermost points, as a factor.
MARGIN = 1.25


def draw(evidence: Evidence, theme: Theme) -> Figure:
    """Draw small panels with common axes; on the diagonal the model is right."""
    panels = _panels(evidence)[:MOST_PANELS]
    columns = min(COLUMNS, len(panels))
    lines = -(-len(panels) // columns)
    figure = new(theme, max(0.8 + 4.2 * columns, 5.6), 0.6 + 3.9 * lines)
    grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    flat = list(grid.flat)
    for axes, (place, points) in zip(flat, panels, strict=False):
        _panel(axes, place, points, theme)
    for axes in flat[len(panels) :]:
        axes.set_visible(False)
    _scale(flat[0], [ratio for _, points in panels for point in points for ratio in point[1:]])
    figure.supxlabel("published time, relative to the baseline (log scale)", fontsize="medium")
    figure.supylabel("modelled time, relative to the baseline (log scale)", fontsize="medium")
    # Where names may go is known only once the panels have their final size.
    settle(figure)
    for axes, (_, points) in zip(flat, panels, strict=False):
        name_points(axes, points, theme)
    return figure


def caption(evidence: Evidence) -> str:
    """Return how to read it."""
    found = [place for place, _ in _panels(evidence)]
    count = len(found)
    others = (
        " Other panels show one thread on other cores, or of other runtimes, beside the same "
        "published ratios."
        if not all(place.fitted for place in found)
        else ""
    )
    squares = " Squares are untuned code." if any(place.untuned for place in found) else ""
    cut = f" The first {MOST_PANELS} of {count}." if count > MOST_PANELS else ""
    own = (
        f" Two constants of {PAPER_RUNTIME} on {PAPER_CORE} with {PAPER_THREADS} threads were "
        "fitted to the published times, which draws its points to the line."
        if any(place.fitted for place in found)
        else ""
    )
    return (
        f"Modelled time over that of {BASELINE} (filled), against the paper’s ratio "
        f"({PAPER_CONDITIONS}); on the dotted line they are the same.{own}{others}{squares} "
        f"Points that crowd each other are left unnamed.{cut}"
    )


def kinds(evidence: Evidence) -> tuple[str, ...]:
    """Return how the ratios on both axes were obtained."""
    return ("modelled", "published")


def shows(evidence: Evidence) -> bool:
    """Return whether a network other than the baseline has both ratios."""
    return bool(_panels(evidence))


def _panels(evidence: Evidence) -> list[tuple[EmulatedCore, list[Named]]]:
    found = [(place, _points(evidence, place)) for place in places(evidence)]
    return [(place, points) for place, points in found if {p[0] for p in points} - {BASELINE}]


def _points(evidence: Evidence, place: EmulatedCore) -> list[Named]:
    found = []
    for row in place.rows:
        ours, theirs = _modelled(place, row), paper_ratio(evidence, row)
        if ours and theirs:
            found.append((row.network, theirs, ours))
    return found


def _modelled(place: EmulatedCore, row: EmulatedRow) -> float | None:
    """Return the ratio of four threads where constants for it are known, else of one."""
    if place.fitted:
        return place.table_2_ratio(row)
    found = place.ratio(row)
    return found.value if found else None


def _panel(axes: Axes, place: EmulatedCore, points: Sequence[Named], theme: Theme) -> None:
    axes.axline((1, 1), (2, 2), color=theme.faint, linestyle=":", zorder=1)
    for name, theirs, ours in points:
        base = name == BASELINE
        axes.plot(
            [theirs],
            [ours],
            marker="s" if place.untuned else "o",
            color=theme.accent if base else theme.faint,
            markerfacecolor=theme.accent if base else theme.background,
            zorder=4 if base else 3,
        )
    axes.set_title(f"{short(place.label)}{' (untuned)' if place.untuned else ''}")


def _scale(axes: Axes, ratios: Sequence[float]) -> None:
    """Give both axes the same logarithmic scale, which all panels share."""
    axes.set(xscale="log", yscale="log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(10, (1, 1.5, 2, 3, 5, 7)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    limits = (min(ratios) / MARGIN, max(ratios) * MARGIN)
    axes.set(xlim=limits, ylim=limits)


FIGURES.add(
    "modelled_ratio",
    Drawing(
        "modelled_ratio",
        70,
        "Modelled ratios beside the paper’s; nothing here was timed on ARM",
        draw,
        caption,
        kinds,
        shows,
    ),
)
