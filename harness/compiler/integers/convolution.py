"""Provides dense and grouped convolutions of bytes: four input channels in one instruction."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script.builder import ir as T

from facebench.harness.compiler.integers.instructions import lanes_of
from facebench.harness.compiler.integers.lanes import QUAD
from facebench.harness.compiler.integers.sums import (
    OUTSIDE,
    Finish,
    IntegerSums,
    arguments,
    operands,
    rows_of_taps,
)
from facebench.harness.compiler.kernels import emit, sharing
from facebench.harness.compiler.kernels.emit import Blocks, Expr
from facebench.harness.compiler.kernels.window import Columns, columns
from facebench.harness.compiler.vectors import ByteVectors
from facebench.harness.compiler.workload import Convolution
from facebench.harness.models.integer_network.network import LARGEST_FOUR, alternate


@dataclass(frozen=True)
class IntegerTiling:
    """How a kernel of integers is blocked.

    Attributes:
        pixels: rows of a tile of sums.
        width: channels of a row.
        chunk: pixels of a task where the convolution is pointwise; else it has one row.
        weights_first: a block of weights stays in the cache while the pixels go by; else a
            chunk of pixels does.
        unroll: fours of channels of a step, at most; a depthwise one has a row of taps.
        rows: rows of outputs of a tile, of depthwise kernels: see `strips`.
    """

    pixels: int
    width: int
    chunk: int
    weights_first: bool
    unroll: int
    rows: int = 1


def emit_convolution(
    work: Convolution, tiling: IntegerTiling, vectors: ByteVectors
) -> tirx.PrimFunc:
    """Return the kernel: arguments input, weights, bias, then those of `sums.operands`."""
    return emit.function("convolution", _IntegerConvolution(work, tiling, vectors).emit)


def channel_order(work: Convolution, tiling: IntegerTiling, vectors: ByteVectors) -> list[int]:
    """Return the filter at each place of the kernel's bias and multipliers."""
    filters = work.filters // work.groups
    lanes, packed = lanes_of(vectors), "real" not in work.epilogue
    order: list[int] = []
    for start in range(0, work.filters, filters):
        for first in range(0, filters, tiling.width):
            width = min(tiling.width, filters - first)
            order += [start + first + place for place in lanes.order(width, packed)]
    return order


def pack(
    work: Convolution, tiling: IntegerTiling, vectors: ByteVectors, weights: NDArray[np.int8]
) -> NDArray[np.integer[Any]]:
    """Return weights `(F, C / groups, KH, KW)` in the order in which the kernel reads them, flat.

    That is group, block of filters, tap, four input channels, filter, channel of the four.
    """
    filters = work.filters // work.groups
    lanes = lanes_of(vectors)
    assert alternate(weights, work.groups).max() <= LARGEST_FOUR
    ordered = weights[channel_order(work, tiling, vectors)]
    parts = []
    for start in range(0, work.filters, filters):
        for first in range(0, filters, tiling.width):
            block = ordered[start + first : start + min(first + tiling.width, filters)]
            taps = block.transpose(2, 3, 1, 0)
            split = taps.reshape(*taps.shape[:2], -1, QUAD, len(block))
            rows = split.transpose(0, 1, 2, 4, 3)
            parts.append(lanes.weights_kept(rows, "real" not in work.epilogue))
    return np.ascontiguousarray(np.concatenate(parts))


class _IntegerConvolution:
    """One kernel while it is emitted."""

    def __init__(self, work: Convolution, tiling: IntegerTiling, vectors: ByteVectors) -> None:
        self._work = work
        self._tiling = tiling
        self._lanes = lanes_of(vectors)
        self._filters = work.filters // work.groups
        self._channels = work.channels // work.groups
        self._blocks = Blocks(self._filters, tiling.width)
        self._pointwise = work.window.pointwise()

    def emit(self) -> None:
        work = self._work
        output = (work.batch, *work.output, work.filters)
        reduced = self._channels * work.window.taps
        shapes: dict[str, tuple[tuple[int, ...], str]] = {
            "input": ((work.batch, *work.input, work.channels), self._lanes.kind),
            "weights": (
                (self._lanes.kept_for(work.filters * reduced),),
                self._lanes.weights_type(),
            ),
            "bias": ((work.filters,), "int32"),
        }
        self._buffers = arguments(
            shapes | operands(work.epilogue, work.filters, output, self._lanes.kind)
        )
        self._tasks()

    def _tasks(self) -> None:
        """Emit one loop over chunks of pixels, groups and blocks of filters, run by threads."""
        work, tiling = self._work, self._tiling
        rows = work.batch * work.output[0]
        chunks = rows * work.output[1] // tiling.chunk if self._pointwise else rows
        blocks = work.groups * self._blocks.count

        def task(chunk: Expr, number: Expr, _: Expr) -> None:
            group = T.Bind(number // self._blocks.count)
            block = T.Bind(number % self._blocks.count)
            chunk = T.Bind(chunk)
            self._blocks.emit(block, lambda width: self._task(chunk, group, block, width))

        sharing.tasks(chunks, blocks, tiling.weights_first, task)

    def _task(self, chunk: Expr, group: Expr, block: Expr, width: int) -> None:
        first = T.Bind(group * self._filters + block * self._blocks.width)
        weights = T.Bind(first * self._channels * self._work.window.taps)
        tiles = self._pointwise_tiles if self._pointwise else self._row_tiles
        tiles(chunk, group, first, weights, width)

    def _pointwise_tiles(
        self, chunk: Expr, group: Expr, first: Expr, weights: Expr, width: int
    ) -> None:
        work, size = self._work, self._tiling.chunk
        for start, count, pixels in emit.spans(size, self._tiling.pixels):

            def tile(number: Expr, start: int = start, pixels: int = pixels) -> None:
                pixel = T.Bind(chunk * size + start + number * pixels)
                sums = self._start(pixels, width, first)
                base = T.Bind(pixel * work.channels + group * self._channels)
                inputs = [base + i * work.channels for i in range(pixels)]
                self._channel_loop(sums, inputs, weights, width)
                finish = Finish(work.epilogue, self._buffers, first, self._lanes)
                sums.finish(finish, lambda i: (pixel + i) * work.filters + first)

            emit.repeat(count, tile)

    def _row_tiles(self, row: Expr, group: Expr, first: Expr, weights: Expr, width: int) -> None:
        work = self._work
        image, y = T.Bind(row // work.output[0]), T.Bind(row % work.output[0])
        for tiles in columns(work.window, work.input[1], work.output[1], self._tiling.pixels):

            def tile(number: Expr, tiles: Columns = tiles) -> None:
                x = tiles.start + number * tiles.pixels
                sums = self._start(tiles.pixels, width, first)
                left = x * work.window.stride[1] - work.window.padding[1]

                def taps(ky: Expr, inside: bool) -> None:
                    place = (image, y, left, ky)
                    self._row(sums, tiles, place, inside, group, weights, width)

                rows_of_taps(work.window, work.input[0], work.output[0], y, taps)
                finish = Finish(work.epilogue, self._buffers, first, self._lanes)
                start = (row * work.output[1] + x) * work.filters + first
                sums.finish(finish, lambda i: start + i * work.filters)

            emit.repeat(tiles.count, tile)

    def _row(
        self,
        sums: IntegerSums,
        tiles: Columns,
        place: tuple[Expr, Expr, Expr, Expr],
        inside: bool,
        group: Expr,
        weights: Expr,
        width: int,
    ) -> None:
        """Emit the taps of one row of the window, inside the map or not."""
        work, window = self._work, self._work.window
        image, y, left, ky = place
        line = y * window.stride[0] - window.padding[0] + ky * window.dilation[0]
        base = T.Bind((image * work.input[0] + line) * work.input[1] + left)
        start = group * self._channels
        for kx in range(window.kernel[1]):
            inputs = [
                (base + column) * work.channels + start if inside and column is not None else None
                for column in tiles.taps(kx)
            ]
            at = weights + (ky * window.kernel[1] + kx) * self._channels * width
            self._channel_loop(sums, inputs, at, width)

    def _start(self, pixels: int, width: int, first: Expr) -> IntegerSums:
        sums = IntegerSums(pixels, width, self._lanes, packed="real" not in self._work.epilogue)
        sums.start(self._buffers["bias"], first)
        return sums

    def _channel_loop(
        self, sums: IntegerSums, inputs: Sequence[Expr | None], weights: Expr, width: int
    ) -> None:
        """Sums over a group's channels: `inputs` are the pixels' places, None outside."""
        places = [None if place is None else T.Bind(place) for place in inputs]
        quads = self._channels // QUAD
        unroll = self._unrolled(quads)
        together = math.gcd(unroll, self._lanes.fours_at_once)

        def steps(number: Expr) -> None:
            given = [self._given(sums, place, number * unroll, unroll) for place in places]
            for i in range(0, unroll, together):
                at = weights + (number * unroll + i) * QUAD * width
                starts = [at + j * QUAD * width for j in range(together)]
                rows = [sums.weights(self._buffers["weights"], start) for start in starts]
                for pixel, of_pixel in enumerate(given):
                    fours = [of_pixel(i + j) for j in range(together)]
                    for register, lanes in enumerate(sums.lanes):
                        bytes_ = [one for four in fours for one in four[lanes]]
                        factors = [one for row in rows for one in row[register]]
                        sums.add_dot(pixel, register, bytes_, factors)

        emit.repeat(quads // unroll, steps)

    def _unrolled(self, quads: int) -> int:
        """Return the fours of a step: as many as are added at once, or some times that."""
        least = math.gcd(quads, self._lanes.fours_at_once)
        most = max(self._tiling.unroll, least)
        return next(n for n in range(most, 0, -1) if quads % n == 0 and n % least == 0)

    def _given(
        self, sums: IntegerSums, place: Expr | None, quad: Expr, count: int
    ) -> Callable[[int], dict[int, list[Expr]]]:
        """Return what gives a pixel's fours of channels from `quad` on; see `Lanes.fours`."""
        sizes = sorted(set(sums.lanes))
        if place is not None:
            return self._lanes.fours(self._buffers["input"], place + quad * QUAD, count, sizes)
        word = T.Bind(emit.load(self._buffers["settings"], OUTSIDE, 1))
        outside = {lanes: self._lanes.everywhere(word, lanes) for lanes in sizes}
        return lambda _: outside
