"""Holds what a network's answers are held against, and how far off rounding explains."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from facebench.architectures.errors import BadInputError
from facebench.architectures.registry import Preprocessing
from facebench.harness.machine.environment import cores
from facebench.harness.stats.arrays import FloatArray

# Relative to the largest element of an embedding: what any network may be off.
EXPORT_TOLERANCE = 1e-5
RUNTIME_TOLERANCE = 1e-4

# How many times a network's own error of rounding others may be off: they add up in other orders.
_ROUNDING = 4

# Rounding that leaves nothing to compare: of single precision, an embedding of noise.
_MOST_ROUNDING = {"fp32": 1e-2, "fp16": 1e-1}

# A line of this project's, no published one: the cosine of an int8 embedding to the one it stands
# for. Quantized steps fall otherwise by the least rounding, so that elements say little.
LEAST_COSINE = 0.9

# Embeddings of different images that differ by no more, relative to the largest element.
_THE_SAME = 1e-6

_RANDOM_IMAGES = 4

# Just below the most that glibc keeps by itself (32 MiB, mallopt(3), M_MMAP_THRESHOLD).
_KEPT_BYTES = 30 * 2**20


def tolerance(least: float, rounding: float) -> float:
    """Return how far an answer may be off, relative to the largest element.

    Args:
        least: what any network may be off.
        rounding: how far the network's own precision is off double precision, likewise.
    """
    return max(least, _ROUNDING * rounding)


def relative_error(outputs: FloatArray, expected: FloatArray) -> float:
    """Return the largest difference over the largest element expected, both in absolute value.

    Args:
        outputs: of any shape.
        expected: of the same shape.

    Returns:
        0 or more; infinite where the shapes differ or an output is not finite.
    """
    if outputs.shape != expected.shape or not np.isfinite(outputs).all():
        return float("inf")
    scale = float(np.abs(expected).max())
    return float(np.abs(outputs - expected).max()) / scale if scale else float("inf")


def cosines(outputs: FloatArray, expected: FloatArray) -> FloatArray:
    """Return the cosine of each embedding to the one expected; arrays `(N, E)` to `(N,)`.

    Of an embedding that is zero or not finite it is 0.
    """
    found, known = outputs.astype(np.float64), expected.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(known, axis=1)
        products = (found * known).sum(axis=1)
        usable = np.isfinite(products) & np.isfinite(lengths) & (lengths > 0)
    found_cosines: FloatArray = np.zeros_like(products)
    np.divide(products, lengths, out=found_cosines, where=usable)
    return found_cosines


def of_each(images: FloatArray, embed: Callable[[FloatArray], FloatArray]) -> FloatArray:
    """Return embeddings (N, E) of images (N, 3, H, W), as many at once as there are cores.

    Args:
        images: preprocessed.
        embed: returns the embedding (1, E) of an image (1, 3, H, W), on one core.
    """
    from threadpoolctl import threadpool_limits

    # What is freed once is kept from then on; the C library gave each map back to the kernel.
    np.empty(_KEPT_BYTES, np.uint8)
    pool = ThreadPoolExecutor(cores())
    try:
        # A network for phones gives threads of BLAS too little to do: they wait, and keep a core
        # busy by that.
        with threadpool_limits(1, "blas"):
            return np.concatenate(list(pool.map(embed, images[:, None])))
    finally:
        # After an error nobody waits for the rest.
        pool.shutdown(cancel_futures=True)


def reference_inputs(
    input_size: tuple[int, int], preprocessing: Preprocessing, seed: int = 0
) -> FloatArray:
    """Return inputs (K, 3, H, W): images of random pixels, then black, white, a half and a
    checkerboard.

    The extremes are those that 8-bit pixels can reach.
    """
    height, width = input_size
    random = np.random.default_rng(seed).integers(0, 256, (_RANDOM_IMAGES, 3, height, width))
    rows, columns = np.indices((height, width))
    patterns = [
        np.zeros((height, width)),
        np.full((height, width), 255),
        np.where(columns < width // 2, 0, 255),
        (rows + columns) % 2 * 255,
    ]
    extremes = np.stack([np.broadcast_to(p, (3, height, width)) for p in patterns])
    pixels = np.concatenate([random, extremes]).astype(np.float32)
    mean = np.asarray(preprocessing.mean, np.float32).reshape(1, 3, 1, 1)
    scale = np.asarray(preprocessing.scale, np.float32).reshape(1, 3, 1, 1)
    return np.ascontiguousarray((pixels - mean) / scale)


def require_answers(name: str, outputs: FloatArray) -> None:
    """See that a network's own embeddings (K, E) of the reference inputs are some.

    Raises:
        BadInputError: they are not finite, all zero, or the same for every image.
    """
    if not np.isfinite(outputs).all():
        raise BadInputError(
            f"{name} gives embeddings that are not finite: its weights or what it computes of "
            "them hold NaN or infinity, as after a training that diverged; give other weights"
        )
    largest = float(np.abs(outputs).max())
    if not largest:
        raise BadInputError(f"{name} gives zero for every image: see that its weights were filled")
    if float(np.ptp(outputs, axis=0).max()) <= _THE_SAME * largest:
        raise BadInputError(
            f"{name} gives the same embedding for every image: see that its weights were filled, "
            "and that it was exported in evaluation mode"
        )


def require_rounding(name: str, rounding: float, precision: str = "fp32") -> None:
    """See that a network's own rounding leaves something of its embeddings.

    Raises:
        BadInputError: single precision answers otherwise than double precision.
    """
    if rounding > _MOST_ROUNDING.get(precision, float("inf")):
        raise BadInputError(
            f"{name} cannot be computed in {precision}: its own answers are off those of double "
            f"precision by {rounding:.1e} of the largest element; give trained weights, or a "
            "network whose activations do not explode"
        )
