"""Tests whether the times of a process have one typical value, or switch between two."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from facebench.harness.stats.arrays import IntArray, Reals
from facebench.harness.stats.procedures import procedure

# Chance of two modes that are one.
LEVEL = 0.01

# The 99th percentile of the dip of n uniform samples, times the root of n: 0.53 of 25 samples,
# 0.61 of 200 and 0.63 of 1000 and more, each simulated 500 times or more.
_CRITICAL = 0.63

# Two typical times that are closer than this are no concern of a reader.
_LEAST_RATIO = 1.02


@dataclass(frozen=True)
class Modes:
    """They are two halves of some times, as far apart as can be.

    Attributes:
        dip: distance from the nearest distribution with one mode, times the root of the
            number of independent samples.
        ratio: of the upper half's median to the lower's.
        share: of the samples in the upper half, 0 to 1.
    """

    dip: float
    ratio: float
    share: float

    @property
    def two(self) -> bool:
        """Say whether there are two modes beyond chance (p < `LEVEL`), 2 % apart or more."""
        return self.dip > _CRITICAL and self.ratio >= _LEAST_RATIO


@procedure("two modes")
def modes(samples: npt.ArrayLike, effective: float) -> Modes:
    """Look for two modes in samples that are worth `effective` independent ones.

    Args:
        samples: `(n,)`, positive, n at least 2, in any order and unit.
        effective: 1 to n; see `autocorrelation.effective_size`.

    Example:
        >>> fast, slow = [1.0 + i / 1000 for i in range(40)], [1.5 + i / 1000 for i in range(40)]
        >>> found = modes(fast + slow, effective=80)
        >>> found.two, round(found.share, 2)
        (True, 0.5)
    """
    ordered = np.sort(np.asarray(samples, np.float64))
    lower, upper = _halves(ordered)
    return Modes(
        dip=dip(ordered) * math.sqrt(effective),
        ratio=float(np.median(upper) / np.median(lower)),
        share=len(upper) / len(ordered),
    )


def dip(samples: npt.ArrayLike) -> float:
    """Return how far the samples' distribution is from the nearest one with a single mode.

    Args:
        samples: `(n,)`, in any order and unit.

    Returns:
        The largest difference of the two distribution functions, 1 / (2n) to 0.25.

    J. A. Hartigan, P. M. Hartigan, "The Dip Test of Unimodality", Annals of Statistics
    13(1), 1985. The nearest one follows the greatest convex minorant up to a modal
    interval and the least concave majorant after it; the interval is narrowed to where
    the two are furthest apart for as long as the ends do not say more than that.
    """
    values, counts = np.unique(np.asarray(samples, np.float64), return_counts=True)
    after: Reals = np.cumsum(counts, dtype=np.float64)
    before = after - counts
    first, last, found = 0, len(values) - 1, 1.0
    while first < last:
        span = slice(first, last + 1)
        x, low, high = values[span], before[span], after[span]
        below, above = _hull(x, low), _hull(x, -high)
        minorant = np.interp(x, x[below], low[below])
        majorant = np.interp(x, x[above], high[above])
        knots = np.union1d(below, above)
        widest = knots[np.argmax((majorant - minorant)[knots])]
        if (majorant - minorant)[widest] <= found:
            break
        start = below[np.searchsorted(below, widest, "right") - 1]
        end = above[np.searchsorted(above, widest, "left")]
        left = (high - minorant)[: start + 1].max()
        right = (majorant - low)[end:].max()
        found = max(found, left, right)
        if (start, end) == (0, len(x) - 1):
            break
        first, last = first + int(start), first + int(end)
    return float(found / (2 * after[-1]))


def _hull(x: Reals, y: Reals) -> IntArray:
    """Return indices of the points on which the greatest convex function below all points rests."""
    hull: list[int] = []
    for i in range(len(x)):
        while len(hull) > 1:
            a, b = hull[-2:]
            if (y[b] - y[a]) * (x[i] - x[a]) < (y[i] - y[a]) * (x[b] - x[a]):
                break
            hull.pop()
        hull.append(i)
    return np.array(hull)


def _halves(ordered: Reals) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Split where the logarithms vary least within the halves (W. D. Fisher, JASA 53, 1958)."""
    logs = np.log(ordered)
    n = len(logs)
    if n < 2:
        return ordered, ordered
    counts = np.arange(1, n)
    sums = np.cumsum(logs)
    between = sums[:-1] ** 2 / counts + (sums[-1] - sums[:-1]) ** 2 / (n - counts)
    split = int(np.argmax(between)) + 1
    return ordered[:split], ordered[split:]
