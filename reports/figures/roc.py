"""Draws receiver operating characteristics, from the smallest rate that the pairs support."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from facebench.harness.stats.arrays import Reals
from facebench.harness.verification.metrics import roc, smallest_far
from facebench.reports.cells import in_percent
from facebench.reports.evidence import Evidence
from facebench.reports.figures import FIGURES, Drawing
from facebench.reports.figures.curve_texts import cut, entitled, kinds, over, pooled, shows
from facebench.reports.figures.style import MOST_LINES, Theme, new, short, sides
from facebench.reports.scores import Curves, Scored, summarised

# Share of the axis that shows what the pairs do not support.
MARGIN = 0.06


def draw(evidence: Evidence, theme: Theme) -> Figure:
    """Draw one line for each network, and intervals on the first."""
    found = pooled(evidence)
    figure = new(theme, 8.6, 4.6)
    axes = figure.subplots()
    for index, one in enumerate(found.scored[:MOST_LINES]):
        far, accepted = _steps(one)
        label = short(one.record.case.network)
        axes.plot(far, accepted, drawstyle="steps-post", label=label, **theme.line(index))
    _intervals(axes, found.scored[0], theme)
    _axes(axes, found, theme)
    axes.set_title(entitled(found))
    figure.legend(loc="outside right upper")
    return figure


def caption(evidence: Evidence) -> str:
    """Return how to read it."""
    found = pooled(evidence)
    return (
        f"Share of genuine pairs accepted against share of impostor pairs accepted on data set "
        f"{found.dataset}, one line a network. Lines begin at the smallest FAR that the pairs "
        "support, three over the count of impostor pairs; to the left of it nothing can be told "
        f"from zero. Bars are 95 % intervals of {found.scored[0].record.case.network} "
        f"over {over(found)}; those of all networks stand under "
        f"Verification.{cut(found)}"
    )


def _steps(one: Scored) -> tuple[Reals, Reals]:
    """Return FAR, and TAR in percent from there to the next, at each step up."""
    curve = roc(one.pairs.scores, one.pairs.same)
    smallest = smallest_far(int(curve.impostors[-1]))
    last = np.append(np.diff(curve.impostors) > 0, True)
    far, accepted = curve.far[last], 100.0 * curve.tar[last]
    inside = far > smallest
    start = accepted[~inside][-1]
    x, y = np.append(smallest, far[inside]), np.append(start, accepted[inside])
    rises = np.append(True, np.diff(y) > 0)
    return np.append(x[rises], 1.0), np.append(y[rises], 100.0)


def _intervals(axes: Axes, one: Scored, theme: Theme) -> None:
    summary = summarised(one.accuracy).summary
    rates = summary.tar if summary else ()
    estimates = [in_percent(rate.tar) for rate in rates]
    axes.errorbar(
        [rate.point.rate for rate in rates],
        [estimate.value for estimate in estimates],
        yerr=sides(estimates),
        fmt="o",
        color=theme.colour(0),
        markersize=4.0,
        zorder=5,
    )


def _axes(axes: Axes, found: Curves, theme: Theme) -> None:
    impostors = max(int(np.sum(~one.pairs.same)) for one in found.scored)
    axes.set_xscale("log")
    smallest = smallest_far(impostors)
    axes.set_xlim(smallest ** (1 + MARGIN), 1.0)
    axes.axvspan(
        smallest ** (1 + MARGIN),
        smallest,
        facecolor="none",
        edgecolor=theme.grid,
        hatch="////",
        linewidth=0,
        zorder=0,
    )
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, 0.0), 100.0 + 0.02 * (high - low))
    axes.xaxis.set_major_locator(LogLocator(10))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("FAR (log scale; hatched: not supported by the pairs)")
    axes.set_ylabel("TAR, %")


FIGURES.add(
    "roc",
    Drawing(
        "roc",
        110,
        "How many genuine pairs pass at each rate of false acceptance",
        draw,
        caption,
        kinds,
        shows,
    ),
)
