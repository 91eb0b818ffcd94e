"""Draws accuracy against MAdds, size and time, with the front of what nothing else beats."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facebench.reports.digits import Estimate, earned, interval
from facebench.reports.embedding_time import real_dataset
from facebench.reports.evidence import BASELINE, Evidence
from facebench.reports.figures import FIGURES, Drawing
from facebench.reports.figures.labels import name_points
from facebench.reports.figures.style import Theme, new, settle, short, sides
from facebench.reports.pareto import Plane, Spot, planes
from facebench.reports.text import plain

_MOST_PANELS = 3


def draw(evidence: Evidence, theme: Theme) -> Figure:
    """Draw a panel for each cost."""
    shown = planes(evidence)[:_MOST_PANELS]
    figure = new(theme, max(1.0 + 3.4 * len(shown), 5.6), 3.6)
    grid = figure.subplots(1, len(shown), sharey=True, squeeze=False)
    for axes, plane in zip(grid.flat, shown, strict=True):
        _panel(axes, plane, theme)
    figure.supylabel(f"accuracy on {short(real_dataset(evidence) or '')}, %", fontsize="medium")
    settle(figure)
    for axes, plane in zip(grid.flat, shown, strict=True):
        named = [(spot.network, spot.x.value, spot.y.value) for spot in plane.spots]
        name_points(axes, named, theme)
    return figure


def chart(evidence: Evidence) -> dict[str, Any]:
    """Return the same as a Vega-Lite specification: one plane at a time, chosen by the reader."""
    shown = planes(evidence)
    axes = [plane.axis for plane in shown]
    values = [_datum(plane.axis, spot) for plane in shown for spot in plane.spots]
    y = {
        "field": "accuracy",
        "type": "quantitative",
        "title": f"accuracy on {plain(real_dataset(evidence) or '')}, %",
        "scale": {"zero": False},
    }
    x = {
        "field": "cost",
        "type": "quantitative",
        # The choice below the chart says what it is.
        "title": None,
        "scale": {"zero": False, "padding": 60},
    }
    front = {"condition": {"test": "datum.front", "value": "#0072b2"}, "value": "#8a949e"}
    # Hollow: on the front as far as can be seen, and not shown to be worth what it costs.
    filled = {"condition": {"test": "datum.front && !datum.shown", "value": 0}, "value": 1}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": "container",
        "height": 340,
        "data": {"values": values},
        "params": [
            {
                "name": "against",
                "value": axes[0],
                "bind": {"input": "select", "options": axes, "name": "against "},
            }
        ],
        "transform": [{"filter": "datum.axis == against"}],
        "layer": [
            {
                "transform": [{"filter": "datum.shown"}],
                "mark": {"type": "line", "color": "#0072b2", "interpolate": "step-after"},
                "encoding": {"x": x, "y": y},
            },
            {
                "mark": {"type": "rule"},
                "encoding": {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"},
                             "color": front},
            },
            {
                "mark": {"type": "rule"},
                "encoding": {"x": x | {"field": "left"}, "x2": {"field": "right"}, "y": y,
                             "color": front},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
                "encoding": {
                    "x": x,
                    "y": y,
                    "fill": front,
                    "stroke": front,
                    "fillOpacity": filled,
                    "tooltip": [
                        {"field": name, "type": "nominal"}
                        for name in (
                            "network", "axis", "at cost", "at accuracy", "standing", "obtained",
                        )
                    ],
                },
            },
            {
                "mark": {"type": "text", "align": "left", "dx": 7, "dy": -7, "fontSize": 11},
                "encoding": {"x": x, "y": y, "text": {"field": "network"}},
            },
        ],
    }  # fmt: skip


def caption(evidence: Evidence) -> str:
    """Return how to read it."""
    return (
        "Up and left is better. Grey are networks that another one is shown to equal in accuracy "
        "and cost, and to beat in one of both, by the 95 % interval of their difference. The line "
        "joins those that are shown to be more accurate than every cheaper one; hollow are those "
        "of which neither is shown. Bars are 95 % intervals. MAdds and sizes are counted and have "
        "no bars. Times are of a face’s embedding, mirror image included where it was scored with "
        "one."
    )


def kinds(evidence: Evidence) -> tuple[str, ...]:
    """Return how costs and scores were obtained."""
    shown = [spot for plane in planes(evidence) for spot in plane.spots]
    return tuple(dict.fromkeys(kind for spot in shown for kind in spot.kinds))


def shows(evidence: Evidence) -> bool:
    """Return whether two networks have a score on real faces and a cost."""
    return bool(planes(evidence))


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
    axes.set_xlabel(short(plane.axis))
    axes.margins(x=0.2)


def _datum(axis: str, spot: Spot) -> dict[str, Any]:
    return {
        "network": plain(spot.network),
        "axis": axis,
        "cost": spot.x.value,
        "left": spot.x.low,
        "right": spot.x.high,
        "accuracy": spot.y.value,
        "low": spot.y.low,
        "high": spot.y.high,
        "front": spot.front,
        "shown": spot.shown,
        "standing": _standing(spot),
        "at cost": _said(spot.x),
        "at accuracy": f"{_said(spot.y)} %",
        "obtained": ", ".join(spot.kinds),
    }


def _standing(spot: Spot) -> str:
    if spot.shown:
        return "shown to be more accurate than each cheaper one"
    return "not shown to beat a cheaper one, nor beaten" if spot.front else "beaten by another"


def _said(estimate: Estimate) -> str:
    if estimate.low == estimate.high:
        return earned(estimate)
    return f"{earned(estimate)} ({interval(estimate)})"


FIGURES.add(
    "pareto",
    Drawing(
        "pareto",
        "What accuracy on real faces costs",
        draw,
        caption,
        kinds,
        shows,
        chart,
    ),
)
