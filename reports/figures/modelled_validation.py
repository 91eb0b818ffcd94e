"""Draws modelled against published times, each modelled without the family of its core."""

from __future__ import annotations

import math

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from facebench.harness.devices.emulator import model
from facebench.reports.emulated import left_out, places
from facebench.reports.evidence import Evidence
from facebench.reports.figures import FIGURES, Drawing
from facebench.reports.figures.style import MARKERS, Theme, new

# Room beyond the outermost points, as a factor.
MARGIN = 1.3


def draw(evidence: Evidence, theme: Theme) -> Figure:
    """Draw one panel: on the line the model is right, and the band is its 95 % interval."""
    figure = new(theme, 6.4, 5.4)
    axes = figure.subplots()
    found = left_out()
    published = [one.row.time.ms for one in found]
    ends = (min(published) / MARGIN, max(published) * MARGIN)
    reach = math.exp(model.constants().time_reach)
    axes.fill_between(
        ends, [end / reach for end in ends], [end * reach for end in ends], color=theme.grid
    )
    axes.plot(ends, ends, color=theme.faint, linestyle=":")
    for number, core in enumerate(sorted({one.row.time.core for one in found})):
        own = [one for one in found if one.row.time.core == core]
        axes.plot(
            [one.row.time.ms for one in own],
            [one.row.time.ms * (1 + one.relative) for one in own],
            linestyle="none",
            marker=MARKERS[(number + number // len(MARKERS)) % len(MARKERS)],
            markersize=4,
            color=theme.colour(number),
            label=core,
        )
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(10, (1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("published time, ms (log scale)")
    axes.set_ylabel("modelled time, ms (log scale)")
    axes.legend(loc="upper left")
    return figure


def caption(evidence: Evidence) -> str:
    """Return how to read it."""
    return (
        "Times of one thread that ncnn’s benchmark published, and modelled ones by constants of "
        "all other families of cores: on the dotted line they are the same, and the band is the "
        "95 % prediction interval."
    )


FIGURES.add(
    "modelled_validation",
    Drawing(
        "modelled_validation",
        72,
        "Modelled beside published ARM times, each core left out",
        draw,
        caption,
        lambda evidence: ("modelled", "published"),
        lambda evidence: any(row.modelled for one in places(evidence) for row in one.rows),
    ),
)
