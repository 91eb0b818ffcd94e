"""Chooses how a kernel of integers is blocked."""

from __future__ import annotations

from facebench.harness.compiler.integers.convolution import IntegerTiling
from facebench.harness.compiler.integers.instructions import lanes_of
from facebench.harness.compiler.vectors import ByteVectors
from facebench.harness.compiler.workload import Convolution, Depthwise

# Rows of a tile that is narrow.
_PIXELS = 14

# Pixels that stay in the caches while all filters pass over them.
_CHUNK = 256


def tiling(work: Convolution | Depthwise, vectors: ByteVectors) -> IntegerTiling:
    """Return the tiling of a workload."""
    sums, width = _tile(vectors)
    if isinstance(work, Depthwise):
        outputs = vectors.registers // 8
        return IntegerTiling(outputs, vectors.packed, work.output[1], weights_first=True, unroll=1)
    width = min(width, work.filters // work.groups)
    count = sum(map(len, lanes_of(vectors).registers(width)))
    pixels = work.batch * work.output[0] * work.output[1]
    chunk = max(n for n in range(1, min(_CHUNK, pixels) + 1) if pixels % n == 0)
    weights = work.filters * work.channels // work.groups * work.window.taps
    inputs = work.batch * work.input[0] * work.input[1] * work.channels
    rows = max(1, min(sums // count, _PIXELS))
    return IntegerTiling(rows, width, chunk, weights > inputs, _unroll(vectors))


def _tile(vectors: ByteVectors) -> tuple[int, int]:
    """Return the registers of sums of a tile, and the channels of its rows.

    Words take twice the registers of bytes for weights.
    """
    if vectors.arm:
        # What is left holds weights, a vector of each pixel's channels, and products as words.
        return vectors.registers * 5 // 8 if vectors.dot else vectors.registers // 2, vectors.packed
    if vectors.dot:
        return vectors.registers * 3 // 4, vectors.packed
    return vectors.registers // 2, vectors.packed if vectors.registers > 16 else 2 * vectors.lanes


def _unroll(vectors: ByteVectors) -> int:
    """Return the fours of channels of a step: as many as registers hold of each pixel."""
    return 8 if vectors.arm and vectors.dot else 4
