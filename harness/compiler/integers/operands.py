"""Makes what a kernel of integers is given of a step: weights and numbers, as it reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facebench.harness.compiler.integers import convolution, depthwise
from facebench.harness.compiler.integers.convolution import IntegerTiling
from facebench.harness.compiler.integers.instructions import lanes_of
from facebench.harness.compiler.integers.sums import ROUNDING_BITS, settings
from facebench.harness.compiler.vectors import ByteVectors
from facebench.harness.compiler.workload import Convolution, Depthwise
from facebench.harness.models.integer_network.network import SumsStep


@dataclass(frozen=True)
class Zeros:
    """It says which integers stand for zero, 0 to 255.

    Attributes:
        source: in the map that is read.
        result: in the map that is given; 0 where the products themselves are.
        added: in the map that is added, where there is one.
    """

    source: int
    result: int
    added: int = 0


def constants(
    step: SumsStep,
    work: Convolution | Depthwise,
    tiling: IntegerTiling,
    vectors: ByteVectors,
    zeros: Zeros,
) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
    """Return arguments between the map that is read and the one that is added, and those behind it.

    All but the weights, which are flat, are (F,), and the last is (5,).

    Args:
        step: whose numbers they are, with all channels that lie in memory.
        work: of the kernel.
        tiling: of the kernel.
        vectors: the target's registers.
        zeros: of the maps.
    """
    kind = depthwise if isinstance(work, Depthwise) else convolution
    origin = lanes_of(vectors).origin
    folded = step.bias - (zeros.source - origin) * step.weights.astype(np.int64).sum(axis=(1, 2, 3))
    folded += lanes_of(vectors).missing(step.weights)
    if step.added:
        folded -= ROUNDING_BITS
    order = kind.channel_order(work, tiling, vectors)
    rows = [folded.astype(np.int32), step.multipliers]
    if {"leaky", "prelu"} & set(work.epilogue):
        rows.append(step.negative)
    before = [kind.pack(work, tiling, vectors, step.weights)]
    before += [row[order] for row in rows]
    behind = [step.added_multipliers[order]] if step.added else []
    return before, [*behind, told(vectors, zeros, step.limits)]


def told(vectors: ByteVectors, zeros: Zeros, limits: tuple[int, int]) -> NDArray[np.int32]:
    """Return `sums.settings` of numbers, as bytes that stand for them lie in memory, (5,)."""
    origin = lanes_of(vectors).origin
    moved = (limits[0] - origin, limits[1] - origin)
    return settings(zeros.source - origin, zeros.result - origin, moved, zeros.added - origin)
