"""Names beside the points of a panel, where there is room for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from matplotlib.axes import Axes
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from facebench.reports.evidence import BASELINE
from facebench.reports.figures.style import Theme, short

MOST_LABELS = 20
# A point's name and where it lies.
Named = tuple[str, float, float]
# The ends of an interval: from (x, y) to (x, y).
Bar = tuple[float, float, float, float]

# Offset in points from what is named, and the side of the text that is there.
_BESIDE = (
    ((6, 5), "left", "bottom"), ((7, 0), "left", "center"), ((-7, 0), "right", "center"),
    ((0, 6), "center", "bottom"), ((0, -6), "center", "top"),
)  # fmt: skip
# Farther away a line leads from the name to its point.
_FAR, _RISE = (14, 22, 32, 44), (0, 8, -8, 16, -16, 26, -26)

Place = tuple[tuple[float, float], str, str]


def name_points(
    axes: Axes,
    points: Sequence[Named],
    theme: Theme,
    keep_free: Sequence[tuple[float, float]] = (),
    bars: Sequence[Bar] = (),
) -> None:
    """Name the points, the baseline first, wherever a name covers nothing drawn before it.

    The figure has to be laid out for good before: see `facebench.reports.figures.style.settle`.

    Args:
        axes: that they are drawn in.
        points: to be named, those of most interest first.
        theme: of the figure.
        keep_free: what else no name may cover, as points.
        bars: intervals that no name may cover either; a name may then lie farther away.
    """
    drawn = [*((x, y) for _, x, y in points), *keep_free]
    spots = [axes.transData.transform(point) for point in drawn]
    taken = [Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in spots]
    taken += [_box(axes, bar) for bar in bars]
    frame = axes.get_window_extent()
    ordered = sorted(points, key=lambda point: point[0] != BASELINE)
    for point in ordered[:MOST_LABELS]:
        for place in _places(far=bool(bars)):
            text = _named(axes, point, place, theme)
            box = text.get_window_extent()
            if _within(frame, box) and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                _lead(axes, point, place, theme)
                break
            text.remove()


def _places(far: bool) -> Iterator[Place]:
    yield from _BESIDE
    if far:
        for away, rise in product(_FAR, _RISE):
            yield (away, rise), "left", "center"
            yield (-away, rise), "right", "center"


def _named(axes: Axes, point: Named, place: Place, theme: Theme) -> Annotation:
    name, horizontal, vertical = point
    offset, side, level = place
    return axes.annotate(
        short(name, 22), (horizontal, vertical), offset, textcoords="offset points",
        ha=side, va=level, fontsize=7, color=theme.ink, zorder=5,
    )  # fmt: skip


def _lead(axes: Axes, point: Named, place: Place, theme: Theme) -> None:
    """Draw a line from a point to its name, where that lies farther away."""
    if place not in _BESIDE:
        line = {"arrowstyle": "-", "color": theme.faint, "linewidth": 0.5, "shrinkA": 0,
                "shrinkB": 3}  # fmt: skip
        axes.annotate("", point[1:], place[0], textcoords="offset points", arrowprops=line)


def _box(axes: Axes, bar: Bar) -> Bbox:
    """Return what a bar takes of the figure, in pixels."""
    ends = axes.transData.transform([bar[:2], bar[2:]])
    (left, low), (right, high) = ends.min(axis=0) - 1, ends.max(axis=0) + 1
    return Bbox.from_extents(left, low, right, high)


def _within(frame: Bbox, box: Bbox) -> bool:
    across: bool = frame.x0 <= box.x0 and box.x1 <= frame.x1
    upright: bool = frame.y0 <= box.y0 and box.y1 <= frame.y1
    return across and upright
