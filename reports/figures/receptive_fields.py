"""Draws what the central and the corner unit of the last map see, and GDConv's weights."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facebench.harness.records.receptive_fields import Fields, Map
from facebench.reports.evidence import BASELINE, Evidence
from facebench.reports.figures import FIGURES, Drawing
from facebench.reports.figures.style import Theme, new, short
from facebench.reports.tables import of_measure

_MOST = 6


def draw(evidence: Evidence, theme: Theme) -> Figure:
    """Draw a row for each network: the two fields, and the weights where it has a GDConv."""
    shown = _found(evidence)[:_MOST]
    figure = new(theme, 6.4, 0.5 + 1.9 * len(shown))
    grid = figure.subplots(len(shown), 3, squeeze=False)
    for (name, fields), line in zip(shown, grid, strict=True):
        _map(line[0], fields.centre, f"{short(name, 24)}: centre unit", theme)
        _map(line[1], fields.corner, f"corner unit: {fields.corner_share:.2f} of it", theme)
        if fields.weights is None:
            line[2].set_visible(False)
            continue
        _map(line[2], fields.weights, "GDConv’s weights", theme, figures=True)
    return figure


def caption(evidence: Evidence) -> str:
    """Return how to read it."""
    count = len(_found(evidence))
    cut = f" The first {_MOST} of {count} networks." if count > _MOST else ""
    return (
        "Left, middle: size of the gradient of one unit of the last map by each part of the image, "
        "over random images (effective receptive field, arXiv 1701.04128); both in one scale, "
        "darker is more. Pooling weighs both units alike; GDConv learns a weight for each place, "
        f"right: its mean size over channels, 1 on average.{cut}"
    )


def kinds(evidence: Evidence) -> tuple[str, ...]:
    """Return how the fields were obtained: by exact arithmetic on weights."""
    return ("counted",)


def shows(evidence: Evidence) -> bool:
    """Return whether any network was looked at."""
    return bool(_found(evidence))


def _found(evidence: Evidence) -> list[tuple[str, Fields]]:
    """Return the newest of each network, the baseline first."""
    found = {
        record.case.network: record.result
        for record in of_measure(evidence.records, "fields")
        if isinstance(record.result, Fields)
    }
    return sorted(found.items(), key=lambda item: item[0] != BASELINE)


def _map(axes: Axes, values: Map, title: str, theme: Theme, *, figures: bool = False) -> None:
    array = np.asarray(values)
    axes.imshow(array if figures else np.sqrt(array), cmap="Blues", vmin=0)
    axes.set_title(title, fontsize="small")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    if figures:
        for (row, column), value in np.ndenumerate(array):
            dark = value > 0.6 * array.max()
            # On the map's own colours, which are the same on a dark page: none of a theme's.
            colour = "#fefefe" if dark else "#101010"
            axes.text(
                column, row, f"{value:.1f}", ha="center", va="center", fontsize=5, color=colour
            )


FIGURES.add(
    "fields",
    Drawing(
        "fields",
        80,
        "What units of the last map see, and how GDConv weighs them",
        draw,
        caption,
        kinds,
        shows,
    ),
)
