"""Drops the smallest weights of each layer, and shares values among those that stay.

S. Han, H. Mao and W. J. Dally, "Deep Compression: Compressing Deep Neural Networks with Pruning,
Trained Quantization and Huffman Coding", ICLR 2016, arXiv 1510.00149: sections 2 and 3.
"""

from __future__ import annotations

import numpy as np

from facebench.harness.stats.arrays import FloatArray

# Of Lloyd's algorithm; on a line it has settled long before.
_ITERATIONS = 100


def prune(weights: FloatArray, share: float) -> FloatArray:
    """Return a layer's weights with the `share` of smallest magnitude at zero.

    Args:
        weights: of any shape `(...)`.
        share: 0 to 1; of so many weights, rounded down, the smallest go.
    """
    count = int(share * weights.size)
    flat = weights.ravel().copy()
    flat[np.argsort(np.abs(flat), kind="stable")[:count]] = 0
    return flat.reshape(weights.shape)


def shared_values(values: FloatArray, bits: int) -> FloatArray:
    """Return at most 2^bits values that stand for all, ascending: k-means from even spacing.

    Centres that are evenly spaced between the least and the largest keep the few large weights,
    which matter most (section 3.2). A centre that no weight is nearest to is dropped. Weights that
    share so few values already keep them.

    Args:
        values: (N,), N at least 1.
        bits: 1 to 8.
    """
    shared = np.unique(values.astype(np.float16))
    if len(shared) <= 2**bits:
        return shared.astype(np.float32)
    ordered = np.sort(values.astype(np.float64))
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    centres = np.linspace(ordered[0], ordered[-1], 2**bits)
    for _ in range(_ITERATIONS):
        edges = np.searchsorted(ordered, (centres[1:] + centres[:-1]) / 2)
        bounds = np.concatenate([[0], edges, [len(ordered)]])
        counts = np.diff(bounds)
        held = counts > 0
        moved = np.diff(sums[bounds])[held] / counts[held]
        if len(moved) == len(centres) and np.array_equal(moved, centres):
            break
        centres = moved
    return np.unique(centres.astype(np.float16)).astype(np.float32)


def nearest(values: FloatArray, centres: FloatArray) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Return for each of `values` (N,) the place of the nearest of ascending `centres` (K,)."""
    return np.searchsorted((centres[1:] + centres[:-1]) / 2, values)
