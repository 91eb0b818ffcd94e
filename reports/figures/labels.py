"""Names beside the points of a panel, where there is room for them."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

from facebench.reports.evidence import BASELINE
from facebench.reports.figures.style import Theme, short

MOST_LABELS = 20
# A point's name and where it lies.
Named = tuple[str, float, float]


def name_points(
    axes: Axes, points: Sequence[Named], theme: Theme, keep_free: Sequence[tuple[float, float]] = ()
) -> None:
    """Name the points, the baseline first, wherever a name covers nothing drawn before it.

    The figure has to be laid out for good before: see `facebench.reports.figures.style.settle`.

    Args:
        axes: that they are drawn in.
        points: to be named.
        theme: of the figure.
        keep_free: what else no name may cover, as points.
    """
    drawn = [*((x, y) for _, x, y in points), *keep_free]
    spots = [axes.transData.transform(point) for point in drawn]
    taken = [Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in spots]
    frame = axes.get_window_extent()
    ordered = sorted(points, key=lambda point: point[0] != BASELINE)
    for name, horizontal, vertical in ordered[:MOST_LABELS]:
        for offset, side, level in (
            ((6, 5), "left", "bottom"), ((7, 0), "left", "center"), ((-7, 0), "right", "center"),
            ((0, 6), "center", "bottom"), ((0, -6), "center", "top"),
        ):  # fmt: skip
            text = axes.annotate(
                short(name, 22), (horizontal, vertical), offset, textcoords="offset points",
                ha=side, va=level, fontsize=7, color=theme.ink, zorder=5,
            )  # fmt: skip
            box = text.get_window_extent()
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0
            if inside and box.y1 <= frame.y1 and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            text.remove()
