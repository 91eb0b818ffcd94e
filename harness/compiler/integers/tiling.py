"""Chooses how a kernel of integers is blocked."""

from __future__ import annotations

from facebench.harness.compiler.integers.convolution import IntegerTiling
from facebench.harness.compiler.integers.lanes import PACKED, registers
from facebench.harness.compiler.workload import Convolution, Depthwise

# Registers of sums of a tile, beside those that hold factors; and rows of a narrow tile.
_SUMS, _PIXELS = 24, 14

# Pixels that stay in the caches while all filters pass over them.
_CHUNK = 256

# Outputs of a tile of a depthwise convolution.
_OUTPUTS = 4


def tiling(work: Convolution | Depthwise) -> IntegerTiling:
    """Return the tiling of a workload."""
    if isinstance(work, Depthwise):
        return IntegerTiling(_OUTPUTS, PACKED, work.output[1], weights_first=True)
    width = min(PACKED, work.filters // work.groups)
    pixels = work.batch * work.output[0] * work.output[1]
    chunk = max(n for n in range(1, min(_CHUNK, pixels) + 1) if pixels % n == 0)
    weights = work.filters * work.channels // work.groups * work.window.taps
    inputs = work.batch * work.input[0] * work.input[1] * work.channels
    count = sum(map(len, registers(width)))
    return IntegerTiling(min(_SUMS // count, _PIXELS), width, chunk, weights > inputs)
