"""Weights of a convolution of shifted channels, as those of one whose taps each read all."""

import numpy as np

from facebench.harness.compiler.workload import Shifted


def as_convolution(work: Shifted, weights: np.ndarray) -> np.ndarray:
    """Weights `(F, C, K, K)` of the dense convolution that gives the same, from `(F, C, 1, 1)`."""
    rows, columns = work.window.kernel
    taps = rows * columns
    spread = np.zeros((*weights.shape[:2], rows, columns), weights.dtype)
    share = weights.shape[1] // taps
    for channel in range(weights.shape[1]):
        tap = channel // share if channel < share * taps else taps // 2
        spread[:, channel, tap // columns, tap % columns] = weights[:, channel, 0, 0]
    return spread
