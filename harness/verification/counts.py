"""Computes error rates from counts of what thresholds accept, exact up to the last division.

`impostors` and `genuine`, `(..., T)`, are what each of T thresholds accepts, from
none to all, as in `metrics.Roc`; the axes before are replicates of a bootstrap.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from facebench.harness.stats.arrays import IntArray, Reals

# Relative; a rate times a count that is this close to a whole number is meant to be one.
ROUNDING = 1e-12


def last_within(impostors: IntArray, far: float) -> IntArray:
    """Return the index `(...)` of the last of T thresholds that accepts at most a share `far`."""
    within = impostors <= allowed(far, impostors[..., -1:])
    return np.asarray(np.count_nonzero(within, axis=-1) - 1)


def mann_whitney(impostors: IntArray, genuine: IntArray) -> Reals:
    """Return the areas under the curves, `(...)`, 0 to 1; see `metrics.auc`."""
    twice = np.diff(impostors, axis=-1) * (genuine[..., 1:] + genuine[..., :-1])
    return np.asarray(twice.sum(axis=-1) / (2 * impostors[..., -1] * genuine[..., -1]))


def equal_error(impostors: IntArray, genuine: IntArray) -> Reals:
    """Return the equal error rates, `(...)`, 0 to 1; see `metrics.eer`."""
    all_impostors, all_genuine = impostors[..., -1:], genuine[..., -1:]
    # FAR - FRR, times both totals to stay in whole numbers.
    excess = impostors * all_genuine - (all_genuine - genuine) * all_impostors
    after = np.argmax(excess >= 0, axis=-1)[..., None]
    below, above = (np.take_along_axis(excess, i, axis=-1) for i in (after - 1, after))
    start, end = (np.take_along_axis(impostors, i, axis=-1) for i in (after - 1, after))
    crossing = start + (end - start) * (below / (below - above))
    return np.asarray((crossing / all_impostors)[..., 0])


def allowed(far: float, impostors: npt.NDArray[np.integer]) -> Reals:
    """Return the most of these counts `(...)`, whole, that a rate of `far`, 0 to 1, allows."""
    product = far * impostors
    nearest = np.rint(product)
    whole = np.abs(product - nearest) <= ROUNDING * nearest
    return np.asarray(np.where(whole, nearest, np.floor(product)))
