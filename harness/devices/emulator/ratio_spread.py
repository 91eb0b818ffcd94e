"""Says how far modelled ratios of two networks on one device are off, by what the two are like."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Load:
    """It is what a network is like on a core.

    Attributes:
        instructions: that an inference executes.
        memory_bytes: to and from memory.
    """

    instructions: int
    memory_bytes: int

    @property
    def bytes_each(self) -> float:
        """Return the bytes to and from memory for each instruction."""
        return self.memory_bytes / self.instructions


@dataclass(frozen=True)
class RatioSpread:
    """It is how far ratios' errors vary: more where a network hangs on memory, as AlexNet with its
    large layers does, and where the two are of unlike size. The errors are natural logarithms.

    Attributes:
        base: the variance of all.
        memory: what the squares of both networks' bytes for each instruction add to it.
        size: what the square of the logarithm of the ratio of their instructions adds.
    """

    base: float
    memory: float
    size: float

    def deviation(self, one: Load, other: Load) -> float:
        """Return the standard deviation of a ratio's error."""
        parts = zip((self.base, self.memory, self.size), features(one, other), strict=True)
        return math.sqrt(math.fsum(weight * feature for weight, feature in parts))


def features(one: Load, other: Load) -> tuple[float, float, float]:
    """Return what the variance of a ratio's error is a sum of, in the order of `RatioSpread`."""
    size = math.log(one.instructions / other.instructions)
    return 1.0, one.bytes_each**2 + other.bytes_each**2, size**2
