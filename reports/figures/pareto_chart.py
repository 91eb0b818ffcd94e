"""Makes the chart of accuracy against cost, which readers can ask: one cost at a time."""

from __future__ import annotations

import math
from typing import Any

from facebench.reports.digits import Estimate, earned, interval
from facebench.reports.evidence import BASELINE, Evidence
from facebench.reports.pareto import Plane, Spot, planes
from facebench.reports.text import plain
from facebench.reports.trade_off import real_dataset

# Names that have room one above the other.
_LINES = 18


def chart(evidence: Evidence) -> dict[str, Any]:
    """Return the same as a Vega-Lite specification: one plane at a time, chosen by the reader."""
    shown = planes(evidence)
    axes = [plane.axis for plane in sorted(shown, key=_baseline_time)]
    values = [datum for plane in shown for datum in _data(plane)]
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
                "mark": {
                    "type": "text", "dy": -7, "fontSize": 11,
                    "align": {"expr": "datum.side"},
                    "dx": {"expr": "datum.side == 'left' ? 7 : -7"},
                },
                "encoding": {"x": x, "y": y, "text": {"field": "named"}},
            },
        ],
    }  # fmt: skip


def _baseline_time(plane: Plane) -> float:
    """Return a key that puts the runtime in which the baseline is fastest first, counts last."""
    times = (spot.x.value for spot in plane.spots if spot.network == BASELINE)
    return next(times, math.inf) if plane.setting is not None else math.inf


def _data(plane: Plane) -> list[dict[str, Any]]:
    """Return what a chart knows of each spot, and where its name goes.

    A name lies to the side on which there is more room. Where names would cover one another
    on a phone, that of the spot of less interest is left out; pointing at it tells it.
    """
    xs, ys = ([getattr(spot, axis).value for spot in plane.spots] for axis in ("x", "y"))
    middle, line = (min(xs) + max(xs)) / 2, (max(ys) - min(ys)) / _LINES
    side = {spot.network: "left" if spot.x.value <= middle else "right" for spot in plane.spots}
    named: list[Spot] = []
    for spot in sorted(plane.spots, key=_interest):
        beside = (one for one in named if side[one.network] == side[spot.network])
        if all(abs(one.y.value - spot.y.value) >= line for one in beside):
            named.append(spot)
    return [
        _datum(plane.axis, spot)
        | {"side": side[spot.network], "named": plain(spot.network) if spot in named else ""}
        for spot in plane.spots
    ]


def _interest(spot: Spot) -> tuple[bool, bool, bool]:
    return spot.network != BASELINE, not spot.shown, not spot.front


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
