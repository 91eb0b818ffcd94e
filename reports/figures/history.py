"""Draws figures over revisions, a panel for each, with the steps that were found."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from facebench.harness.comparison.history import Series
from facebench.harness.comparison.wording import case_text
from facebench.harness.records.comparable import Decided, Timed
from facebench.reports.evidence import HISTORY_MARGIN, Evidence
from facebench.reports.figures import FIGURES, Drawing
from facebench.reports.figures.style import Theme, new, short

COLUMNS = 2
MOST_PANELS = 16

# More names than this would run into each other under an axis.
_MOST_NAMES = 9
_TITLE, _TITLE_LINE = 62, 34


def draw(found: Sequence[Series], theme: Theme) -> Figure:
    """Draw series with steps first; each level is a line, each step a dashed one."""
    shown = sorted(found, key=lambda one: not one.steps)[:MOST_PANELS]
    columns = min(COLUMNS, len(shown))
    lines = -(-len(shown) // columns)
    figure = new(theme, 1.0 + 4.6 * columns, 0.5 + 2.2 * lines)
    grid = figure.subplots(lines, columns, squeeze=False)
    for axes, one in zip(grid.flat, shown, strict=False):
        _panel(axes, one, theme)
    for axes in list(grid.flat)[len(shown) :]:
        axes.set_visible(False)
    figure.supxlabel(
        "revision; bars are the range of the processes, lines the levels between steps", fontsize=8
    )
    return figure


def _panel(axes: Axes, one: Series, theme: Theme) -> None:
    axes.set_title(fill(short(case_text(one.case), _TITLE), _TITLE_LINE), fontsize=8.5)
    axes.set_ylabel(_label(one))
    _points(axes, one, theme)
    _levels(axes, one, theme)
    names = [point.revision for point in one.points]

    def name(position: float, _: int) -> str:
        index = round(position)
        return short(names[index], 10) if 0 <= index < len(names) else ""

    axes.xaxis.set_major_locator(MaxNLocator(_MOST_NAMES, integer=True, min_n_ticks=1))
    axes.xaxis.set_major_formatter(FuncFormatter(name))
    axes.tick_params(axis="x", labelsize=7, labelrotation=30)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def _label(one: Series) -> str:
    figure = one.points[-1].figure
    unit = "%" if isinstance(figure, Decided) else figure.unit
    kinds = dict.fromkeys(point.entry.kind for point in one.points)
    return "\n".join((", ".join(filter(None, (one.figure, unit))), f"({', '.join(kinds)})"))


def _points(axes: Axes, one: Series, theme: Theme) -> None:
    """Draw each with the range of its processes, where there were several."""
    values = [_scaled(one, point.figure.value) for point in one.points]
    ranges = [_range(one, i) for i in range(len(one.points))]
    axes.errorbar(
        range(len(values)),
        values,
        yerr=[
            [value - low for value, (low, _) in zip(values, ranges, strict=True)],
            [high - value for value, (_, high) in zip(values, ranges, strict=True)],
        ],
        fmt="o",
        markersize=4,
        color=theme.accent,
        zorder=3,
    )


def _range(one: Series, index: int) -> tuple[float, float]:
    figure = one.points[index].figure
    if isinstance(figure, Timed):
        return min(figure.medians), max(figure.medians)
    value = _scaled(one, figure.value)
    return value, value


def _levels(axes: Axes, one: Series, theme: Theme) -> None:
    last = len(one.points) - 0.5
    ends = [-0.5, *(step.index - 0.5 for step in one.steps), last]
    levels = [step.before for step in one.steps] + [step.after for step in one.steps[-1:]]
    for index, level in enumerate(levels):
        value = _scaled(one, level)
        axes.plot(ends[index : index + 2], [value] * 2, color=theme.colour(1), zorder=2)
    for step in one.steps:
        axes.axvline(step.index - 0.5, color=theme.faint, linestyle="dashed", zorder=1)
    axes.set_xlim(-0.5, last)


def _scaled(one: Series, value: float) -> float:
    return 100 * value if isinstance(one.points[0].figure, Decided) else value


def _draw(evidence: Evidence, theme: Theme) -> Figure:
    return draw(evidence.history, theme)


def _caption(evidence: Evidence) -> str:
    """Return how to read it."""
    steps = sum(bool(one.steps) for one in evidence.history)
    shown = min(len(evidence.history), MOST_PANELS)
    return (
        f"{shown} of {len(evidence.history)} figures of cases that were recorded more than once, "
        f"those that stepped first ({steps}). A step of a time is one by Pettitt's test, beyond "
        f"{HISTORY_MARGIN:.0%}, and takes ten records; a count steps wherever it differs. "
        "'facebench history' has all of it."
    )


def _kinds(evidence: Evidence) -> tuple[str, ...]:
    points = [point for one in evidence.history[:MOST_PANELS] for point in one.points]
    return tuple(dict.fromkeys(point.entry.kind for point in points))


FIGURES.add(
    "history",
    Drawing(
        "history",
        90,
        "Over revisions",
        _draw,
        _caption,
        _kinds,
        lambda evidence: bool(evidence.history),
    ),
)
