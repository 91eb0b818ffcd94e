"""Draws accuracy against latency and its intervals, with the front of what nothing else beats."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from facebench.reports.evidence import BASELINE, Evidence
from facebench.reports.figures import FIGURES, Drawing
from facebench.reports.figures.labels import Bar, name_points
from facebench.reports.figures.pareto_chart import chart
from facebench.reports.figures.style import Theme, new, settle, short, sides
from facebench.reports.pareto import Plane, Spot, planes
from facebench.reports.recorded import said_of
from facebench.reports.trade_off import THREADS, mirrored, real_dataset

COLUMNS = 3
MOST_PANELS = 12


def draw(evidence: Evidence, theme: Theme) -> Figure:
    """Draw a panel for each runtime, with common axes; by MAdds and size where nothing is timed."""
    shown = _drawn(evidence)
    timed = shown[0].setting is not None
    columns = min(COLUMNS, len(shown))
    lines = -(-len(shown) // columns)
    figure = new(theme, max(1.0 + 3.3 * columns, 5.6), 0.9 + 2.7 * lines)
    grid = figure.subplots(lines, columns, sharex=timed, sharey=True, squeeze=False)
    flat = list(grid.flat)
    for axes, plane in zip(flat, shown, strict=False):
        _panel(axes, plane, theme)
    for axes in flat[len(shown) :]:
        axes.set_visible(False)
    if timed:
        text = f"latency of one inference, ms, {THREADS} thread (log scale)"
        figure.supxlabel(text, fontsize="medium")
    figure.supylabel(f"accuracy on {short(real_dataset(evidence) or '')}, %", fontsize="medium")
    # Where names may go is known only once the panels have their final size.
    settle(figure)
    for axes, plane in zip(flat, shown, strict=False):
        ordered = sorted(plane.spots, key=lambda spot: (not spot.shown, not spot.front))
        named = [(spot.network, spot.x.value, spot.y.value) for spot in ordered]
        bars = [bar for spot in plane.spots for bar in _bars(spot)]
        name_points(axes, named, theme, bars=bars)
    return figure


def caption(evidence: Evidence) -> str:
    """Return how to read it."""
    every = planes(evidence)
    drawn = _drawn(evidence)
    timed = [plane for plane in every if plane.setting is not None]
    scores = [score for plane in drawn for score in plane.scores]
    cut = f"The first {MOST_PANELS} of {len(timed)} runtimes." if len(timed) > MOST_PANELS else ""
    what = "A latency is that of one inference. " if timed else "MAdds and sizes have no bars. "
    sentences = [
        "Up and left is better. Bars are 95 % intervals. The line joins networks that are shown "
        "to be more accurate than every cheaper one. Grey ones are beaten: another is shown to be "
        "as good in accuracy and cost, and better in one of both. Hollow ones are neither.",
        f"{what}Only records of the same weights meet here; untuned code is left out.",
        said_of(scores),
        mirrored(scores),
        _elsewhere(drawn),
        cut,
    ]
    return " ".join(filter(None, sentences))


def kinds(evidence: Evidence) -> tuple[str, ...]:
    """Return how costs and scores were obtained."""
    shown = [spot for plane in planes(evidence) for spot in plane.spots]
    return tuple(dict.fromkeys(kind for spot in shown for kind in spot.kinds))


def shows(evidence: Evidence) -> bool:
    """Return whether two networks have a score on real faces and a time, or a count."""
    return bool(planes(evidence))


def _drawn(evidence: Evidence) -> Sequence[Plane]:
    """Return the planes of times, or of counts where there are none."""
    every = planes(evidence)
    return [plane for plane in every if plane.setting is not None][:MOST_PANELS] or every


def _elsewhere(drawn: Sequence[Plane]) -> str:
    """Say where accuracies come from another runtime than the times beside them."""
    others = {
        score.case.runtime
        for plane in drawn
        for score in plane.scores
        if plane.setting is not None and score.case.runtime != plane.setting.runtime
    }
    if not others:
        return ""
    return (
        f"Where a runtime was timed but not scored, the accuracy is that of the same weights in "
        f"{', '.join(sorted(others))}, in single precision."
    )


def _bars(spot: Spot) -> tuple[Bar, Bar]:
    x, y = spot.x, spot.y
    return (x.low, y.value, x.high, y.value), (x.value, y.low, x.value, y.high)


def _panel(axes: Axes, plane: Plane, theme: Theme) -> None:
    axes.step(
        [spot.x.value for spot in plane.line],
        [spot.y.value for spot in plane.line],
        where="post",
        color=theme.accent,
        linewidth=1.2,
        zorder=2,
    )
    for spot in plane.spots:
        axes.errorbar(
            [spot.x.value],
            [spot.y.value],
            xerr=sides([spot.x]),
            yerr=sides([spot.y]),
            fmt="D" if spot.network == BASELINE else "o",
            color=theme.accent if spot.front else theme.faint,
            markerfacecolor=theme.background if spot.front and not spot.shown else None,
            elinewidth=0.9,
            zorder=3,
        )
    axes.margins(x=0.2)
    if plane.setting is None:
        axes.set_xlabel(short(plane.axis))
        return
    axes.set_title(short(plane.setting.label))
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(10, (1, 2, 3, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


FIGURES.add(
    "pareto",
    Drawing(
        "pareto",
        10,
        "What accuracy on real faces costs",
        draw,
        caption,
        kinds,
        shows,
        chart,
    ),
)
