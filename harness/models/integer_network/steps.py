"""The steps of a network of real numbers that a network of integers computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from facebench.harness.models.integer_network.network import Pair
from facebench.harness.stats.arrays import FloatArray, Floats


@dataclass(frozen=True, eq=False)
class RealSums:
    """It is a convolution of real numbers with what follows it.

    Attributes:
        source: name of what it reads.
        result: name of what its last operator gives.
        weights: (F, C / groups, KH, KW).
        bias: (F,).
        stride: between windows.
        padding: rows above and columns to the left.
        dilation: between taps.
        groups: of channels.
        added: name of the map that is added; empty for none.
        activation: `relu`, `relu6`, `prelu`, or empty.
        slopes: of a PReLU, (F,).
    """

    source: str
    result: str
    weights: FloatArray
    bias: FloatArray
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    added: str = ""
    activation: str = ""
    slopes: FloatArray | None = None

    @property
    def steepest(self) -> Floats:
        """Return by what a sum is multiplied at most, (F,): one, or a PReLU's slope."""
        if self.slopes is None:
            return np.ones(len(self.bias))
        return np.maximum(1, np.abs(self.slopes.astype(np.float64)))


@dataclass(frozen=True)
class RealPool:
    """It is a pooling of real numbers; the attributes are PoolStep's."""

    source: str
    result: str
    kind: str
    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)


@dataclass(frozen=True)
class RealShuffle:
    """It is a channel shuffle; the attributes are ShuffleStep's."""

    source: str
    result: str
    groups: int


@dataclass(frozen=True)
class RealJoin:
    """It is a concatenation of channels, and a ReLU where `relu` says so."""

    sources: tuple[str, ...]
    result: str
    relu: bool


@dataclass(frozen=True)
class RealSlice:
    """It is some of a map's channels, from `first` on, as many as the result has."""

    source: str
    result: str
    first: int


@dataclass(frozen=True, eq=False)
class RealFunction:
    """It is a function of each element by itself.

    Attributes:
        source: name of what it reads.
        result: name of what its last operator gives.
        of: the function, of arrays of any shape.
        alone: nothing else reads the source.
    """

    source: str
    result: str
    of: Callable[[FloatArray], FloatArray]
    alone: bool


@dataclass(frozen=True)
class RealPair:
    """It is the product or the larger one of two maps' elements.

    Attributes:
        sources: names of the maps; the second may have one pixel, which is that of all.
        result: name of the map.
        kind: `product` or `max`.
    """

    sources: tuple[str, str]
    result: str
    kind: str


RealStep = RealSums | RealPool | RealShuffle | RealJoin | RealSlice | RealFunction | RealPair


def sources(step: RealStep) -> tuple[str, ...]:
    """Return the names of the maps that a step reads."""
    if isinstance(step, RealJoin | RealPair):
        return step.sources
    added = (step.added,) if isinstance(step, RealSums) and step.added else ()
    return (step.source, *added)


def reach(step: RealSums, given: float, added: float = 0.0) -> FloatArray:
    """Return what each filter's sums can come to, (F,), before its activation.

    Args:
        step: the sums.
        given: the scale of the map that is read.
        added: of the map that is added.
    """
    weights = np.abs(step.weights.astype(np.float64)).sum(axis=(1, 2, 3))
    reached: FloatArray = given * 255 * weights + np.abs(step.bias) + added * 255
    return reached


def passed_on(source: str, result: str, channels: int) -> RealSums:
    """Return sums that give a map as it is, for what follows them."""
    ones = np.ones((channels, 1, 1, 1), np.float32)
    return RealSums(source, result, ones, np.zeros(channels, np.float32), groups=channels)
