"""Provides pointwise convolutions by Strassen's algorithm: seven products in place of eight.

A pointwise convolution is a matrix product. Pixels, input channels and filters are each cut
into halves; eight products of such halves are the result, or seven products of sums of them.
These are Winograd's sums, which are the fewest (N. Higham, Accuracy and Stability of Numerical
Algorithms, 2nd edition, section 23.1): 4 of pixels, 4 of weights, and 7 of products. Those of
weights are made when the kernel is packed. Those of products follow one another so that most are
made by going on with the sums that the registers hold:

    C11 = P1 + P2                 P1 = A11 B11    P5 = S1 T1    S1 = A21 + A22    T1 = B12 - B11
    U2 = P1 + P6, U3 = U2 + P7    P2 = A12 B21    P6 = S2 T2    S2 = S1 - A11     T2 = B22 - T1
    C21 = U3 - P4, C22 = U3 + P5  P3 = S4 B22     P7 = S3 T3    S3 = A11 - A21    T3 = B22 - B12
    C12 = U2 + P5 + P3            P4 = A22 T4                   S4 = A12 - S2     T4 = T2 - B21

An error is bounded by the largest elements of the matrices, not by those that are summed, as it
is with eight products: an element that is small beside the others of its map has fewer digits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from tvm import tirx
from tvm.tirx.script.builder import ir as T

from facebench.harness.compiler.kernels import emit, sharing
from facebench.harness.compiler.kernels.accumulation import Accumulation
from facebench.harness.compiler.kernels.emit import Blocks, Buffer, Expr, Steps, Sums
from facebench.harness.compiler.vectors import Vectors
from facebench.harness.compiler.workload import Convolution
from facebench.harness.stats.arrays import FloatArray

# Products of halves.
PRODUCTS = 7

# Sums of halves of the pixels' channels.
SUMS = 4


@dataclass(frozen=True)
class StrassenTiling:
    """How a pointwise convolution is blocked.

    Attributes:
        pixels: rows of a tile of sums, of one half of the pixels.
        vectors: registers of a row.
        unroll: input channels a step of the innermost loop.
        chunk: pixels of a task, whose halves lie one behind the other.
    """

    pixels: int
    vectors: int
    unroll: int
    chunk: int


def halves(work: Convolution) -> bool:
    """Return whether the algorithm is for this workload: channels and filters have halves."""
    pointwise = work.window.pointwise() and not work.planar
    return pointwise and work.groups == 1 and work.channels % 2 == work.filters % 2 == 0


def emit_strassen(work: Convolution, tiling: StrassenTiling, vectors: Vectors) -> tirx.PrimFunc:
    """Return the kernel; its arguments are those of `convolution.emit_convolution`."""
    return emit.function("strassen", _StrassenKernel(work, tiling, vectors).emit)


def pack(
    work: Convolution, tiling: StrassenTiling, vectors: Vectors, weights: FloatArray
) -> FloatArray:
    """Return weights `(F, C, 1, 1)` in the order in which the kernel reads them, flat.

    That is block of filters, of one half of them; product; input channel; filter.
    """
    matrix = weights.reshape(work.filters, work.channels).T.astype(np.float64)
    upper, lower = np.split(matrix, 2)
    (b11, b12), (b21, b22) = np.split(upper, 2, axis=1), np.split(lower, 2, axis=1)
    t1 = b12 - b11
    t2 = b22 - t1
    # In the order in which the kernel needs them.
    factors = (b11, t2, b22 - b12, b21, b21 - t2, t1, b22)
    width = tiling.vectors * vectors.lanes
    parts = [
        factor[:, start : start + width].ravel()
        for start in range(0, work.filters // 2, width)
        for factor in factors
    ]
    return np.concatenate(parts).astype(vectors.element)


class _StrassenKernel:
    """One kernel while it is emitted."""

    def __init__(self, work: Convolution, tiling: StrassenTiling, vectors: Vectors) -> None:
        self._work = work
        self._tiling = tiling
        self._vectors = vectors
        self._pixels = tiling.chunk // 2
        self._channels = work.channels // 2
        self._filters = work.filters // 2
        self._blocks = Blocks(self._filters, tiling.vectors * vectors.lanes)

    def emit(self) -> None:
        work = self._work
        out_shape = (work.batch, *work.output, work.filters)
        shapes = {
            "input": (work.batch, *work.input, work.channels),
            "weights": (PRODUCTS * self._channels * self._filters,),
            "bias": (work.filters,),
            **emit.epilogue_shapes(work.epilogue, out_shape),
            "output": out_shape,
        }
        self._buffers = emit.arguments(shapes, self._vectors.element)
        chunks = work.batch * math.prod(work.output) // self._tiling.chunk
        width = min(self._blocks.width, self._filters)
        tasks = chunks * self._blocks.count
        sizes = [(self._pixels * self._channels, self._vectors.element)] * SUMS

        with sharing.each_thread(tasks, *sizes, (1, "int32")) as (*sums, summed):
            emit.store(summed, 0, -1, 1)

            def task(chunk: Expr, block: Expr, _: Expr) -> None:
                chunk, block = T.Bind(chunk), T.Bind(block)
                held = [self._allocated(self._tiling.pixels * width) for _ in range(3)]
                first = T.Bind(chunk * self._tiling.chunk)
                with T.If(emit.load(summed, 0, 1) != chunk), T.Then():
                    self._sum_pixels(first, sums)
                    emit.store(summed, 0, chunk, 1)
                self._blocks.emit(block, partial(self._tiles, first, block, sums, held))

            sharing.tasks(chunks, self._blocks.count, weights_first=False, body=task)

    def _allocated(self, elements: int) -> Buffer:
        return T.alloc_buffer((elements,), self._vectors.element, scope="global")

    def _sum_pixels(self, first: Expr, sums: Sequence[Buffer]) -> None:
        """Emit S1 to S4 of a task's pixels, from `first` on."""
        channels, lanes = self._channels, self._vectors.lanes
        pixels = self._buffers["input"]

        def vector(upper: Expr, lower: Expr, at: Expr, lanes: int) -> None:
            a11, a21 = (T.Bind(emit.load(pixels, row, lanes)) for row in (upper, lower))
            a12, a22 = (T.Bind(emit.load(pixels, row + channels, lanes)) for row in (upper, lower))
            s1 = T.Bind(a21 + a22)
            s2 = T.Bind(s1 - a11)
            for buffer, value in zip(sums, (s1, s2, a11 - a21, a12 - s2), strict=True):
                emit.store(buffer, at, value, lanes)

        with T.serial(0, self._pixels) as i:
            upper = T.Bind((first + i) * self._work.channels)
            lower = T.Bind((first + self._pixels + i) * self._work.channels)
            at = T.Bind(i * channels)
            whole = channels // lanes
            emit.repeat(
                whole, lambda n: vector(upper + n * lanes, lower + n * lanes, at + n * lanes, lanes)
            )
            start = whole * lanes
            for rest in emit.register_lanes(channels % lanes, lanes):
                vector(upper + start, lower + start, at + start, rest)
                start += rest

    def _tiles(
        self,
        first: Expr,
        block: Expr,
        sums: Sequence[Buffer],
        held: Sequence[Buffer],
        width: int,
    ) -> None:
        filters = T.Bind(block * self._blocks.width)
        for start, count, pixels in emit.spans(self._pixels, self._tiling.pixels):

            def tile(number: Expr, start: int = start, pixels: int = pixels) -> None:
                pixel = T.Bind(start + number * pixels)
                tile = Sums(pixels, width, self._vectors)
                self._tile(first + pixel, pixel, filters, sums, held, tile)

            emit.repeat(count, tile)
        output, out = self._buffers["output"], self._work.filters
        for place in (filters, filters + self._filters):

            def at(i: Expr, place: Expr = place) -> Expr:
                return (first + i) * out + place

            emit.activate(output, at, self._tiling.chunk, width, self._steps(place))

    def _steps(self, filters: Expr) -> Steps:
        return Steps(self._work.epilogue, self._buffers, filters, self._vectors)

    def _tile(
        self,
        upper: Expr,
        place: Expr,
        filters: Expr,
        sums: Sequence[Buffer],
        held: Sequence[Buffer],
        tile: Sums,
    ) -> None:
        """Emit the four tiles that have the same place in the four quarters of the output.

        Args:
            upper: the tile's first pixel, in the first half of the task's.
            place: of it among the sums.
            filters: the tile's first, in its half of them.
            sums: S1 to S4.
            held: three tiles in memory.
            tile: in registers.
        """
        s1, s2, s3, s4 = ((buffer, place * self._channels, self._channels) for buffer in sums)
        lower = upper + self._pixels
        left, right = filters, filters + self._filters
        p1, u2, u3 = held
        p5 = p1  # P1 is needed no more by then

        def rows(pixel: Expr, channel: int) -> tuple[Buffer, Expr, int]:
            place = pixel * self._work.channels + channel
            return self._buffers["input"], place, self._work.channels

        add = partial(self._add_product, tile, filters)
        tile.start(tile.constants(0.0))
        add(0, *rows(upper, 0))
        tile.keep(p1)
        add(1, *s2)
        tile.keep(u2)
        add(2, *s3)
        tile.keep(u3)
        self._start(tile, left, p1)
        add(3, *rows(upper, self._channels))
        self._finish(tile, upper, left)
        self._start(tile, left, u3)
        add(4, *rows(lower, self._channels))
        self._finish(tile, lower, left)
        tile.start(tile.constants(0.0))
        add(5, *s1)
        tile.keep(p5)
        tile.add_kept(u3)
        tile.add_to_all(tile.vectors(self._buffers["bias"], right))
        self._finish(tile, lower, right)
        self._start(tile, right, p5, u2)
        add(6, *s4)
        self._finish(tile, upper, right)

    def _start(self, tile: Sums, filters: Expr, *held: Buffer) -> None:
        tile.start(tile.vectors(self._buffers["bias"], filters))
        for buffer in held:
            tile.add_kept(buffer)

    def _add_product(
        self, tile: Sums, filters: Expr, product: int, factors: Buffer, place: Expr, row: int
    ) -> None:
        """Add a product: its weights, times pixels that begin at `place` and are `row` apart."""
        width = sum(tile.lanes)
        weights = T.Bind((filters * PRODUCTS + product * width) * self._channels)
        first = T.Bind(place)
        places = [T.Bind(first + i * row) for i in range(tile.pixels)]
        accumulation = Accumulation(factors, self._buffers["weights"], self._vectors)
        accumulation.channels(tile, places, weights, width, self._channels, self._tiling.unroll)

    def _finish(self, tile: Sums, pixel: Expr, filters: Expr) -> None:
        steps, out = self._steps(filters), self._work.filters
        tile.finish(self._buffers["output"], lambda i: (pixel + i) * out + filters, steps)
