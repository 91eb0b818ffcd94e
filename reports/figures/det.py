"""Detection error trade-off: both error rates on axes that make normal scores a line."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import ndtri

from facebench.harness.stats.arrays import Reals
from facebench.harness.verification.metrics import det, smallest_far
from facebench.reports.evidence import Evidence
from facebench.reports.figures import FIGURES, Drawing
from facebench.reports.figures import curve_texts as texts
from facebench.reports.figures.style import MOST_LINES, Theme, new, short
from facebench.reports.scores import Curves, Scored

PERCENTS = (0.001, 0.01, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 40, 60)
# Beyond this nobody operates a verification network.
LARGEST_PERCENT = 60.0


def draw(evidence: Evidence, theme: Theme) -> Figure:
    """Draw one line for each network whose errors the pairs can resolve."""
    found = texts.pooled(evidence)
    figure = new(theme, 8.6, 5.0)
    axes = figure.subplots()
    for index, one in enumerate(found.scored[:MOST_LINES]):
        far, frr = _supported(one)
        if len(far):
            label = short(one.record.case.network)
            axes.plot(far, frr, drawstyle="steps-post", label=label, **theme.line(index))
    ends = (ndtri(1e-9), ndtri(LARGEST_PERCENT / 100))
    axes.plot(ends, ends, color=theme.faint, linestyle=":", linewidth=1.0, zorder=1)
    _axes(axes, found)
    axes.set_title(texts.entitled(found))
    figure.legend(loc="outside right upper")
    return figure


def caption(evidence: Evidence) -> str:
    """Return how to read it."""
    found = texts.pooled(evidence)
    without = [
        one.record.case.network for one in found.scored[:MOST_LINES] if not len(_supported(one)[0])
    ]
    unseen = f" Not drawn, with too few errors: {', '.join(without)}." if without else ""
    return (
        f"Share of genuine pairs rejected against share of impostor pairs accepted on data set "
        f"{found.dataset}; left and low is better. On these axes (normal deviates) normally "
        "distributed scores give a straight line; the dotted one is where both rates are equal. "
        "Rates below three over the count of pairs are not drawn: the pairs cannot tell them from "
        f"zero.{unseen}{texts.cut(found)}"
    )


def shows(evidence: Evidence) -> bool:
    """Return whether any network makes errors enough to draw."""
    if not texts.shows(evidence):
        return False
    return any(len(_supported(one)[0]) for one in texts.pooled(evidence).scored[:MOST_LINES])


# Asked for by the caption, by `shows` and by the drawing.
@lru_cache(maxsize=4 * MOST_LINES)
def _supported(one: Scored) -> tuple[Reals, Reals]:
    """Return FAR and FRR in normal deviates where the pairs support both; the last of each FAR."""
    curve = det(one.pairs.scores, one.pairs.same)
    genuine, impostors = (int(np.sum(one.pairs.same == kind)) for kind in (True, False))
    inside = (curve.far >= ndtri(smallest_far(impostors))) & (
        curve.frr >= ndtri(smallest_far(genuine))
    )
    far, frr = curve.far[inside], curve.frr[inside]
    last = np.append(np.diff(far) > 0, True)[: len(far)]
    return far[last], frr[last]


def _axes(axes: Axes, found: Curves) -> None:
    lines = [_supported(one) for one in found.scored[:MOST_LINES]]
    far, frr = (np.concatenate([line[side] for line in lines]) for side in (0, 1))
    low, high, places, names = _percents(far)
    axes.set_xlim(low, high)
    axes.set_xticks(places, names)
    low, high, places, names = _percents(frr)
    axes.set_ylim(low, high)
    axes.set_yticks(places, names)
    axes.set_xlabel("FAR, % (normal deviate)")
    axes.set_ylabel("FRR, % (normal deviate)")


def _percents(values: Reals) -> tuple[float, float, list[float], list[str]]:
    """Return limits of an axis, and ticks at round percentages."""
    low, high = float(values.min()), min(float(values.max()), float(ndtri(LARGEST_PERCENT / 100)))
    margin = 0.04 * (high - low) + 0.01
    low, high = low - margin, high + margin
    inside = [percent for percent in PERCENTS if low <= ndtri(percent / 100) <= high]
    return low, high, [float(ndtri(p / 100)) for p in inside], [f"{p:g}" for p in inside]


FIGURES.add(
    "det",
    Drawing(
        "det",
        100,
        "Which errors each network trades for which",
        draw,
        caption,
        texts.kinds,
        shows,
    ),
)
