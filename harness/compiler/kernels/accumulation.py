"""Adds products to a tile of sums: pixels' channels times the weights of their filters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from facebench.harness.compiler.kernels import emit
from facebench.harness.compiler.kernels.emit import Buffer, Expr, Sums
from facebench.harness.compiler.vectors import Vectors


@dataclass(frozen=True)
class Accumulation:
    """It is what a tile of sums is made of.

    Attributes:
        factors: the buffer of the pixels.
        weights: the buffer of the packed weights.
        vectors: the target's registers.
    """

    factors: Buffer
    weights: Buffer
    vectors: Vectors

    def channels(
        self,
        sums: Sums,
        places: Sequence[Expr | None],
        weights: Expr,
        width: int,
        channels: int,
        unroll: int,
    ) -> None:
        """Emit loops over channels that lie side by side.

        Args:
            sums: a row for each pixel.
            places: where each pixel's channels begin; None where it has none.
            weights: where the first channel's begin.
            width: weights of a channel.
            channels: how many.
            unroll: of a step.
        """
        whole, rest = divmod(channels, unroll)

        def steps(number: Expr, count: int) -> None:
            moved = [None if place is None else place + number * unroll for place in places]
            self.steps(sums, moved, weights + number * unroll * width, width, count)

        emit.repeat(whole, lambda number: steps(number, unroll))
        if rest:
            steps(whole, rest)

    def steps(
        self,
        sums: Sums,
        places: Sequence[Expr | None],
        weights: Expr,
        row: int,
        count: int,
        skipped: int = 0,
    ) -> None:
        """Emit channels from `skipped` to `count`, in turn, their weights `row` apart."""
        pieces = emit.register_lanes(count, self.vectors.lanes if self.vectors.by_lane else 1)
        channel = 0
        for lanes in pieces:
            factors = [
                None if place is None else self.elements(place + channel, lanes) for place in places
            ]
            for lane in range(max(skipped - channel, 0), lanes):
                values = sums.vectors(self.weights, weights + (channel + lane) * row)
                for pixel, factor in enumerate(factors):
                    if factor is not None:
                        sums.multiply_add(pixel, factor[lane], values)
            channel += lanes

    def elements(self, index: Expr, lanes: int) -> list[Expr]:
        """Return `lanes` scalars of the pixels, loaded together."""
        loaded = T.Bind(emit.read(self.vectors, self.factors, index, lanes))
        if lanes == 1:
            return [loaded]
        return [tirx.Shuffle([loaded], [tirx.IntImm("int32", lane)]) for lane in range(lanes)]
