"""The shapes of the loops that find a peak: how many accumulators, of how many lanes each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """A loop has accumulators of so many float32 lanes, none of which waits for another."""

    lanes: int
    accumulators: int

    @property
    def elements(self) -> int:
        """Return the elements of all accumulators together."""
        return self.lanes * self.accumulators

    def __str__(self) -> str:
        return f"{self.lanes}x{self.accumulators}"


# The vectors of SSE and NEON, of AVX and of AVX-512. A core needs as many accumulators as
# it has units times their latency, and no more than it has registers: no loop is faster
# than the core, so the fastest of them all is the nearest to it.
SHAPES = (Shape(4, 12), Shape(4, 24), Shape(8, 12), Shape(16, 12))

# Multiply-adds of each accumulator in a round: counting rounds then takes no time of its own.
UNROLLED = 4
