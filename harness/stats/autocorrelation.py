"""Finds how many independent samples the samples of one process are worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from facebench.harness.stats.arrays import Reals, ranks


def effective_size(samples: Sequence[float]) -> float:
    """Return the count of independent samples that know the middle as well as these do.

    n / (1 + 2 times the sum of the autocorrelations), the sum ended where two
    successive ones are no longer positive together (C. J. Geyer, "Practical Markov
    Chain Monte Carlo", Statistical Science 7(4), 1992). It is taken of ranks, so that
    an outlier weighs no more than any other sample, less their straight trend, which is
    looked for elsewhere.

    Returns:
        At least 1 and at most n.
    """
    n = len(samples)
    if n < 4:
        return float(n)
    found = _autocorrelations(_without_trend(ranks(np.asarray(samples, np.float64))))
    pairs = found[1 : n // 2 * 2 - 1].reshape(-1, 2).sum(axis=1)
    ends = np.flatnonzero(pairs <= 0)
    kept = pairs[: ends[0]] if len(ends) else pairs
    return float(np.clip(n / (1 + 2 * kept.sum()), 1, n))


def _without_trend(values: Reals) -> Reals:
    time = np.arange(len(values)) - (len(values) - 1) / 2
    centred = values - values.mean()
    residuals: Reals = centred - time * (time @ centred) / (time @ time)
    return residuals


def _autocorrelations(values: Reals) -> Reals:
    """Return them at each distance from 0, by Fourier transform; of equal values none."""
    n = len(values)
    spectrum: npt.NDArray[Any] = np.fft.rfft(values, 2 * n)
    covariances = np.fft.irfft(spectrum * spectrum.conj(), 2 * n)[:n]
    if covariances[0] <= n * 1e-12:
        return np.zeros(n)
    found: Reals = covariances / covariances[0]
    return found
