"""Defines the types of arrays that functions take and give, and what is done to any of them.

Shapes are in the docstrings of the functions.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# What networks take and give, in single precision.
FloatArray = npt.NDArray[np.float32]

# What statistics are computed in, double precision.
Reals = npt.NDArray[np.float64]

# Of either precision: coordinates, and scores as a file or a network gave them.
Floats = npt.NDArray[np.floating]

IntArray = npt.NDArray[np.int64]

# Places in another array, as numpy itself finds them.
Indices = npt.NDArray[np.intp]

Booleans = npt.NDArray[np.bool_]

# One picture `(H, W, 3)` or several `(N, H, W, 3)`, RGB, 0 to 255.
Picture = npt.NDArray[np.uint8]


def ranks(values: Reals) -> Reals:
    """Return the places of values `(N,)` in their order, from 1, `(N,)`; equals share their mean.

    `scipy.stats.rankdata` gives the same; importing it takes longer than a measurement may.

    Example:
        >>> ranks(np.array([3.0, 1.0, 3.0])).tolist()
        [2.5, 1.0, 2.5]
    """
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    shared = np.cumsum(counts) - (counts - 1) / 2
    return np.asarray(shared[inverse])
