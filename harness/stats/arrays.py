"""The types of arrays that functions take and give, and what is done to any of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


def ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Places of values `(N,)` in their order, from 1, those of equals averaged: `(N,)`.

    `scipy.stats.rankdata` gives the same; importing it takes longer than a measurement may.

    Example:
        >>> ranks(np.array([3.0, 1.0, 3.0])).tolist()
        [2.5, 1.0, 2.5]
    """
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    shared = np.cumsum(counts) - (counts - 1) / 2
    return np.asarray(shared[inverse])
