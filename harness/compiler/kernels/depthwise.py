"""Provides depthwise convolutions and pooling: vectors of channels, each by itself.

A column of the input is loaded once for all outputs of the tile that it is under.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from tvm import tirx
from tvm.tirx.script.builder import ir as T

from facebench.harness.compiler.kernels import emit, sharing
from facebench.harness.compiler.kernels.emit import Blocks, Expr, Steps, Sums
from facebench.harness.compiler.kernels.strips import Strip, Strips
from facebench.harness.compiler.kernels.window import Columns, Rows, columns
from facebench.harness.compiler.vectors import Vectors
from facebench.harness.compiler.workload import Depthwise, Pooling
from facebench.harness.stats.arrays import FloatArray

# Terms of a mean beyond which each row of the window has a sum of its own. Added one by one, equal
# numbers are rounded the same way again and again: the mean of 12,544 (112x112) was off by 1.7e-4,
# by rows and parts of rows it is by 3e-6.
_TERMS = 256

# Sums that additions go to by turns, so that none waits for the last: a vector's takes four cycles,
# and two begin in each.
_BY_TURNS = 8


@dataclass(frozen=True)
class DepthwiseTiling:
    """How a depthwise convolution or pooling is blocked.

    Attributes:
        pixels: outputs of a tile, in a row.
        vectors: registers of channels of each.
        channels_first: a block of channels is done for all rows before the next;
            else a row is done for all channels.
        rows: rows of outputs of a tile, which share what they read.
    """

    pixels: int
    vectors: int
    channels_first: bool
    rows: int = 1


def emit_depthwise(work: Depthwise, tiling: DepthwiseTiling, vectors: Vectors) -> tirx.PrimFunc:
    """Return the kernel: arguments input, weights, bias, then slopes and added map if any,
    output.
    """
    return emit.function("depthwise", _DepthwiseKernel(work, tiling, vectors).emit)


def emit_pooling(work: Pooling, tiling: DepthwiseTiling, vectors: Vectors) -> tirx.PrimFunc:
    """Return the kernel: arguments input and output."""
    return emit.function("pooling", _DepthwiseKernel(work, tiling, vectors).emit)


def pack(
    work: Depthwise, tiling: DepthwiseTiling, vectors: Vectors, weights: FloatArray
) -> FloatArray:
    """Return weights (C, 1, KH, KW) as the kernel reads them: block of channels, tap, channel;
    flat.
    """
    width = tiling.vectors * vectors.lanes
    taps = weights.reshape(work.channels, -1)
    parts = [taps[i : i + width].T.ravel() for i in range(0, work.channels, width)]
    return np.concatenate(parts).astype(vectors.element)


@dataclass(frozen=True)
class _Corner:
    """It says where tiles lie.

    Attributes:
        image: of the batch.
        y: the first row of outputs.
        first: channel of the outputs.
        width: channels.
    """

    image: Expr
    y: Expr
    first: Expr
    width: int


class _DepthwiseKernel:
    """One kernel while it is emitted."""

    def __init__(
        self, work: Depthwise | Pooling, tiling: DepthwiseTiling, vectors: Vectors
    ) -> None:
        self._work = work
        self._tiling = tiling
        self._vectors = vectors
        self._blocks = Blocks(work.channels, tiling.vectors * vectors.lanes)
        self._in_parts = isinstance(work, Pooling) and work.kind == "mean"
        self._in_parts &= work.window.taps > _TERMS
        self._strips = Strips(work.window, work.input[0], work.output[0], tiling.rows)

    def emit(self) -> None:
        work = self._work
        out_shape = (work.batch, *work.output, work.channels)
        shapes: dict[str, tuple[int, ...]] = {"input": (work.batch, *work.input, work.channels)}
        if isinstance(work, Depthwise):
            shapes["weights"] = (work.channels * work.window.taps,)
            shapes["bias"] = (work.channels,)
        shapes |= emit.epilogue_shapes(work.epilogue, out_shape)
        shapes["output"] = out_shape
        self._buffers = emit.arguments(shapes, self._vectors.element)
        strips = work.batch * self._strips.count

        def task(strip: Expr, block: Expr, _: Expr) -> None:
            strip, block = T.Bind(strip), T.Bind(block)
            self._blocks.emit(block, lambda width: self._tiles(strip, block, width))

        sharing.tasks(strips, self._blocks.count, self._tiling.channels_first, task)

    def _tiles(self, strip: Expr, block: Expr, width: int) -> None:
        work = self._work
        first = T.Bind(block * self._blocks.width)

        def row(image: Expr, y: Expr, kind: Strip) -> None:
            place = _Corner(image, y, first, width)
            for group in columns(work.window, work.input[1], work.output[1], self._tiling.pixels):
                emit.repeat(group.count, partial(self._tile, place, kind, group))
            steps = Steps(work.epilogue, self._buffers, first, self._vectors)
            pixel = (image * work.output[0] + y) * work.output[1]
            pixels = kind.rows * work.output[1]
            emit.activate(
                self._buffers["output"],
                lambda i: (pixel + i) * work.channels + first,
                pixels,
                width,
                steps,
            )

        self._strips.emit(strip, row)

    def _tile(self, place: _Corner, kind: Strip, group: Columns, number: Expr) -> None:
        work, first = self._work, place.first
        x = group.start + number * group.pixels
        left = x * work.window.stride[1] - work.window.padding[1]
        vectors = self._vectors
        if self._tiling.rows > 1:
            # Else LLVM, which takes sums for associative, adds in an order of its own.
            vectors = replace(vectors, named=True)
        sums = Sums(kind.rows * group.pixels, place.width, vectors)
        sums.start(self._initial(sums, first))

        def add(line: Expr, taps: list[tuple[int, Expr]]) -> None:
            base = (place.image * work.input[0] + line) * work.input[1] + left
            base = T.Bind(base * work.channels)
            if not self._in_parts:
                self._add_line(place, group, base, taps, [sums])
                return
            parts = [Sums(sums.pixels, place.width, vectors) for _ in range(_parts(sums))]
            for part in parts:
                part.start(part.constants(0.0))
            self._add_line(place, group, base, taps, parts)
            sums.add_tile(_joined(parts))

        if self._tiling.rows == 1:
            rows = Rows(work.window, work.input[0], work.output[0])
            rows.emit(place.y, lambda ky, line: add(line, [(0, ky)]))
        else:
            kind.emit(place.y, add)
        if isinstance(work, Pooling) and work.kind == "mean":
            self._scale(sums, 1 / work.window.taps)
        steps = Steps(work.epilogue, self._buffers, first, self._vectors)
        output = (place.image * work.output[0] + place.y) * work.output[1] + x

        def at(i: int) -> Expr:
            row, pixel = divmod(i, group.pixels)
            return (output + row * work.output[1] + pixel) * work.channels + first

        sums.finish(self._buffers["output"], at, steps)

    def _add_line(
        self,
        place: _Corner,
        group: Columns,
        base: Expr,
        taps: list[tuple[int, Expr]],
        parts: Sequence[Sums],
    ) -> None:
        """Add a row of the input, from `base` on, to the sums; its columns by turns to parts."""
        combined = [
            [(row, self._combine(sums, place.first, place.width, ky)) for row, ky in taps]
            for sums in parts
        ]
        inside = [(column, under) for column, under in group.reads() if column is not None]
        for number, (column, under) in enumerate(inside):
            at = base + column * self._work.channels + place.first
            values = parts[0].vectors(self._buffers["input"], at)
            for row, combine in combined[number % len(parts)]:
                for pixel, kx in under:
                    for register, value in enumerate(values):
                        combine(row * group.pixels + pixel, kx, register, value)

    def _initial(self, sums: Sums, first: Expr) -> list[Expr]:
        if isinstance(self._work, Depthwise):
            return sums.vectors(self._buffers["bias"], first)
        least = np.finfo(self._vectors.element).min if self._work.kind == "max" else 0.0
        return sums.constants(float(least))

    def _combine(
        self, sums: Sums, first: Expr, width: int, ky: Expr
    ) -> Callable[[int, int, int, Expr], None]:
        """Return what an input does to a sum: multiply-add, add, or the larger of both."""
        work = self._work
        if isinstance(work, Depthwise):
            at = first * work.window.taps + ky * work.window.kernel[1] * width
            at = T.Bind(at)
            weights = [
                sums.vectors(self._buffers["weights"], at + kx * width)
                for kx in range(work.window.kernel[1])
            ]
            return lambda pixel, kx, register, value: sums.add_product(
                pixel, register, value, weights[kx][register]
            )
        if work.kind == "max":
            return lambda pixel, kx, register, value: sums.update(
                pixel, register, lambda held: emit.larger(self._vectors, held, value)
            )
        return lambda pixel, kx, register, value: sums.add(pixel, register, value)

    def _scale(self, sums: Sums, factor: float) -> None:
        factor = float(np.dtype(self._vectors.rounded_to).type(factor))
        for pixel in range(sums.pixels):
            for register in range(len(sums.lanes)):
                sums.scale(pixel, register, factor)


def _parts(sums: Sums) -> int:
    """Return how many sums of a row there are for each of the tile's."""
    return max(1, _BY_TURNS // (sums.pixels * len(sums.lanes)))


def _joined(parts: Sequence[Sums]) -> Sums:
    """Add sums to one another by pairs, and return the first, which has all."""
    while len(parts) > 1:
        for first, second in zip(parts[::2], parts[1::2], strict=False):
            first.add_tile(second)
        parts = parts[::2]
    return parts[0]
