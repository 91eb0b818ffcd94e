"""Writes figures over revisions as a page of one file: a drawing each, with its steps named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from facebench.harness.comparison.history import HistoryPoint, HistoryRevision, Series
from facebench.harness.comparison.wording import case_text, figure_text, percents
from facebench.harness.records.comparable import Timed
from facebench.harness.stats.change_points import Step
from facebench.reports.templating import ours, templates

# Of a drawing, in its own units, and what is left free around it.
WIDTH, HEIGHT = 640.0, 120.0
_MARGIN = 6.0

# Steps that are listed first, the latest before others.
_MOST_LATEST = 12


@dataclass(frozen=True)
class Told:
    """It is a step as the page tells it.

    Attributes:
        x: where it is in the drawing.
        change: in per cent.
        at: the revision that it came with.
        with_: what else changed there.
    """

    x: float
    change: str
    at: HistoryRevision
    with_: str


@dataclass(frozen=True)
class Chart:
    """It is a figure of a case as the page draws it.

    Attributes:
        title: the case.
        figure: which of its figures.
        kind: how it was obtained, last.
        last: the latest value, with its unit.
        highest: of the drawing's upper edge.
        lowest: of its lower edge.
        line: path through the values.
        band: path around the range of the processes; empty where there is none.
        levels: path of the levels between the steps.
        steps: oldest first.
        points: for each, its place among all revisions, x, and the value as text.
    """

    title: str
    figure: str
    kind: str
    last: str
    highest: str
    lowest: str
    line: str
    band: str
    levels: str
    steps: tuple[Told, ...]
    points: tuple[tuple[int, float, str], ...]


def page(found: Sequence[Series]) -> str:
    """Return the page: the latest steps, then a drawing for each figure, those with steps first."""
    revisions = _revisions(found)
    charts = [_chart(one, len(revisions)) for one in found]
    numbered = list(enumerate(sorted(charts, key=lambda chart: not chart.steps)))
    latest = sorted(
        ((step, number, chart) for number, chart in numbered for step in chart.steps),
        key=lambda told: -told[0].x,
    )
    return (
        templates()
        .get_template("history.html.j2")
        .render(
            charts=numbered,
            latest=latest[:_MOST_LATEST],
            more=max(len(latest) - _MOST_LATEST, 0),
            revisions=revisions,
            points=[chart.points for _, chart in numbered],
            width=WIDTH,
            height=HEIGHT,
            script=ours("history.js"),
        )
    )


def _revisions(found: Sequence[Series]) -> list[HistoryRevision]:
    """Return all revisions by their places; a place that no figure is of has no name."""
    by_place = {point.place: point.at for one in found for point in one.points}
    return [by_place.get(place, HistoryRevision("", "")) for place in range(max(by_place) + 1)]


def _chart(one: Series, count: int) -> Chart:
    values = [point.figure.value for point in one.points]
    ranges = [_range(point) for point in one.points]
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    scale = _Scale(low, high, count)
    places = [point.place for point in one.points]
    last = one.points[-1]
    return Chart(
        title=case_text(one.case),
        figure=one.figure,
        kind=last.entry.kind,
        last=figure_text(last.figure),
        highest=figure_text(last.figure, high),
        lowest=figure_text(last.figure, low),
        line=scale.path(zip(places, values, strict=True)),
        band=_band(scale, places, ranges),
        levels="".join(_levels(one, scale)),
        steps=tuple(_told(one, step, scale) for step in one.steps),
        points=tuple(
            (point.place, scale.x(point.place), figure_text(point.figure)) for point in one.points
        ),
    )


class _Scale:
    """Turns places and values into the drawing's units.

    Args:
        low: the least value.
        high: the greatest.
        count: of all revisions.
    """

    def __init__(self, low: float, high: float, count: int) -> None:
        self._middle = (low + high) / 2
        self._per_unit = (HEIGHT - 2 * _MARGIN) / (high - low) if high > low else 0.0
        self._per_place = (WIDTH - 2 * _MARGIN) / max(count - 1, 1)

    def x(self, place: float) -> float:
        return round(_MARGIN + place * self._per_place, 1)

    def y(self, value: float) -> float:
        return round(HEIGHT / 2 - (value - self._middle) * self._per_unit, 1)

    def path(self, points: Iterator[tuple[float, float]] | zip[tuple[int, float]]) -> str:
        return "M" + "L".join(f"{self.x(place)} {self.y(value)}" for place, value in points)


def _range(point: HistoryPoint) -> tuple[float, float]:
    figure = point.figure
    if isinstance(figure, Timed):
        return min(figure.medians), max(figure.medians)
    return figure.value, figure.value


def _band(scale: _Scale, places: Sequence[int], ranges: Sequence[tuple[float, float]]) -> str:
    if all(low == high for low, high in ranges):
        return ""
    there = [(place, high) for place, (_, high) in zip(places, ranges, strict=True)]
    back = [(place, low) for place, (low, _) in zip(places, ranges, strict=True)]
    return scale.path(iter([*there, *reversed(back)])) + "Z"


def _levels(one: Series, scale: _Scale) -> Iterator[str]:
    levels = [*(step.before for step in one.steps), *(step.after for step in one.steps[-1:])]
    ends = [0, *(step.index for step in one.steps), len(one.points) - 1]
    for level, first, last in zip(levels, ends, ends[1:], strict=False):
        places = one.points[first].place, one.points[last].place
        yield scale.path(zip(places, (level, level), strict=True))


def _told(one: Series, step: Step, scale: _Scale) -> Told:
    point = one.points[step.index]
    change = "from 0" if step.change is None else percents(step.change)
    return Told(scale.x(point.place), change, point.at, ", ".join(one.came_with(step)))
