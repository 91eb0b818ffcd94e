"""Finds where a series of figures over revisions changed its level.

Binary segmentation (A. J. Scott, M. Knott, Biometrics 30(3), 1974): the most likely
step is looked for; where it is one, both sides are searched in turn. The step is that
of A. N. Pettitt's test ("A non-parametric approach to the change-point problem",
Applied Statistics 28(2), 1979), which goes by ranks, so that one odd revision does not
count for more than one. Its probability comes of permutations, and a step must also be
above a margin.

Permuting takes revisions as independent. Machines drift, so a slow drift is found as
steps; the history says where the machine or its software changed with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from facebench.harness.stats.arrays import ranks
from facebench.harness.stats.procedures import procedure

# With fewer on both sides together no order of ranks is rare enough at `LEVEL`.
LEAST_POINTS = 10
LEVEL = 0.01
PERMUTATIONS = 1999


@dataclass(frozen=True)
class Step:
    """It is a change of level.

    Attributes:
        index: of the first point at the new level.
        before: median of the points up to the step before, or the beginning.
        after: median of the points up to the next step, or the end.
        p_value: how often as clear a step is in the same points, shuffled; 0 for exact
            figures, which change by no chance.
    """

    index: int
    before: float
    after: float
    p_value: float

    @property
    def change(self) -> float | None:
        """Return the relative change; 0.05 is 5 % more. None from zero."""
        return self.after / self.before - 1 if self.before else None


@procedure("steps")
def steps(values: Sequence[float], margin: float = 0.01, seed: int = 0) -> list[Step]:
    """Return steps of a figure with spread, in order.

    Args:
        values: one a revision, positive.
        margin: relative; a smaller step is none.
        seed: the same one gives the same steps.

    Example:
        >>> [step.index for step in steps([10.0, 10.1, 9.9, 10.0, 10.1] + [11.0, 11.1, 10.9] * 2)]
        [5]
    """
    series = np.asarray(values, np.float64)
    draw = np.random.default_rng(seed)
    found = sorted(_search(series, 0, margin, draw))
    return _levels(series, _placed(series, found))


def exact_steps(values: Sequence[float]) -> list[Step]:
    """Return steps of an exact count: wherever it differs from the one before.

    Example:
        >>> [(step.index, step.before, step.after) for step in exact_steps([7, 7, 8])]
        [(2, 7.0, 8.0)]
    """
    series = np.asarray(values, np.float64)
    return _levels(series, [(int(i) + 1, 0.0) for i in np.flatnonzero(np.diff(series))])


def _search(
    series: npt.NDArray[np.float64], offset: int, margin: float, draw: np.random.Generator
) -> Iterator[tuple[int, float]]:
    """Index and p-value of each step, those of both sides of a step included."""
    if len(series) < LEAST_POINTS:
        return
    split, p_value = _pettitt(series, draw)
    before, after = float(np.median(series[:split])), float(np.median(series[split:]))
    if p_value >= LEVEL or abs(np.log(after / before)) <= np.log1p(margin):
        return
    yield offset + split, p_value
    yield from _search(series[:split], offset, margin, draw)
    yield from _search(series[split:], offset + split, margin, draw)


def _pettitt(series: npt.NDArray[np.float64], draw: np.random.Generator) -> tuple[int, float]:
    """Return where the series is split best, and the p-value of Pettitt's statistic.

    The statistic itself is largest too late between a short part and a long one: within the long
    one ranks go on rising or falling by chance. The split is where it is largest for its standard
    deviation, which is least at the ends; then where the two levels part.
    """
    centred = _from_middle(series)
    sums = np.abs(np.cumsum(centred))[:-1]
    places = np.arange(1, len(series))
    likely = int((sums / np.sqrt(places * (len(series) - places))).argmax()) + 1
    shuffled = draw.permuted(np.tile(centred, (PERMUTATIONS, 1)), axis=1)
    largest = np.abs(np.cumsum(shuffled, axis=1)).max(axis=1)
    # The order that was seen is one of the permutations.
    p_value = (1 + np.sum(largest >= sums.max() - 1e-9)) / (1 + PERMUTATIONS)
    return _clearest(series, likely), float(p_value)


def _placed(
    series: npt.NDArray[np.float64], found: Sequence[tuple[int, float]]
) -> list[tuple[int, float]]:
    """Return each step where it is clearest between its neighbours.

    When it was found, levels beyond them were in the way (the repartition of J. Bai,
    "Estimating multiple breaks one at a time", Econometric Theory 13(3), 1997).
    """
    ends = [0, *(index for index, _ in found), len(series)]
    placed = []
    for (index, p_value), before, after in zip(found, ends, ends[2:], strict=False):
        placed.append((before + _clearest(series[before:after], index - before), p_value))
    # Two that came to lie in one place are one.
    return sorted(dict(reversed(placed)).items())


def _clearest(series: npt.NDArray[np.float64], near: int) -> int:
    """Return the split between the levels on both sides of a place that leaves the least
    distances to them.

    What lies beyond a level counts as on it, so that one odd revision does not count for more
    than one.
    """
    levels = np.median(series[:near]), np.median(series[near:])
    within = np.clip(series, min(levels), max(levels))
    nearer = np.cumsum(np.abs(within - levels[0]) - np.abs(within - levels[1]))[:-1]
    return int(nearer.argmin()) + 1


def _from_middle(series: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Ranks above or below the middle one: their running sum turns where a level ends."""
    return ranks(series) - (len(series) + 1) / 2


def _levels(series: npt.NDArray[np.float64], found: Sequence[tuple[int, float]]) -> list[Step]:
    ends = [0, *(index for index, _ in found), len(series)]
    medians = [float(np.median(series[a:b])) for a, b in pairwise(ends) if b > a]
    return [
        Step(index, medians[i], medians[i + 1], p_value) for i, (index, p_value) in enumerate(found)
    ]
