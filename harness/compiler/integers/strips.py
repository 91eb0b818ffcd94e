"""Provides depthwise convolutions of bytes, two rows of outputs at a time: taps of a column.

Four rows of a column are interleaved byte by byte. One such vector serves the window's columns
as they pass over it, and each row of outputs, whose weights stand further down in theirs.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script.builder import ir as T

from facebench.harness.compiler.integers.convolution import IntegerTiling
from facebench.harness.compiler.integers.instructions import lanes_of
from facebench.harness.compiler.integers.lanes import QUAD
from facebench.harness.compiler.integers.sums import (
    OUTSIDE,
    Finish,
    IntegerSums,
    arguments,
    operands,
)
from facebench.harness.compiler.kernels import emit, sharing
from facebench.harness.compiler.kernels.emit import Blocks, Expr
from facebench.harness.compiler.kernels.strips import Strip, Strips, share_rows
from facebench.harness.compiler.kernels.window import Columns, columns
from facebench.harness.compiler.vectors import ByteVectors
from facebench.harness.compiler.workload import Depthwise, Window


def fits(window: Window, outputs: int) -> bool:
    """Return whether two rows of so many outputs share rows of the input, and read at most four."""
    return share_rows(window, outputs) and window.stride[0] + window.kernel[0] <= QUAD


def pack(
    work: Depthwise, tiling: IntegerTiling, vectors: ByteVectors, weights: NDArray[np.int8]
) -> NDArray[np.integer[Any]]:
    """Return weights (C, KH, KW), in the order of the sums, as the kernel reads them, flat.

    That is block of channels, column of taps, row of outputs, channel, row of the input.
    """
    lanes, window = lanes_of(vectors), work.window
    moved = np.zeros((work.channels, window.kernel[1], tiling.rows, QUAD), np.int8)
    for row in range(tiling.rows):
        first = row * window.stride[0]
        moved[:, :, row, first : first + window.kernel[0]] = weights.transpose(0, 2, 1)
    parts = [
        lanes.weights_kept(moved[i : i + tiling.width].transpose(1, 2, 0, 3), columns=True)
        for i in range(0, work.channels, tiling.width)
    ]
    return np.ascontiguousarray(np.concatenate(parts))


def emit_strips(work: Depthwise, tiling: IntegerTiling, vectors: ByteVectors) -> tirx.PrimFunc:
    """Return the kernel: arguments input, weights, bias, then those of `sums.operands`."""
    return emit.function("depthwise", _IntegerStrips(work, tiling, vectors).emit)


class _IntegerStrips:
    """One kernel while it is emitted."""

    def __init__(self, work: Depthwise, tiling: IntegerTiling, vectors: ByteVectors) -> None:
        self._work = work
        self._tiling = tiling
        self._lanes = lanes_of(vectors)
        self._blocks = Blocks(work.channels, tiling.width)
        self._strips = Strips(work.window, work.input[0], work.output[0], tiling.rows)

    def emit(self) -> None:
        work = self._work
        output = (work.batch, *work.output, work.channels)
        held = work.channels * work.window.kernel[1] * self._tiling.rows * QUAD
        shapes: dict[str, tuple[tuple[int, ...], str]] = {
            "input": ((work.batch, *work.input, work.channels), self._lanes.kind),
            "weights": ((self._lanes.kept_for(held),), self._lanes.weights_type()),
            "bias": ((work.channels,), "int32"),
        }
        self._buffers = arguments(
            shapes | operands(work.epilogue, work.channels, output, self._lanes.kind)
        )
        strips = work.batch * self._strips.count

        def task(strip: Expr, block: Expr, _: Expr) -> None:
            strip, block = T.Bind(strip), T.Bind(block)
            self._blocks.emit(block, lambda width: self._row(strip, block, width))

        sharing.tasks(strips, self._blocks.count, self._tiling.weights_first, task)

    def _row(self, strip: Expr, block: Expr, width: int) -> None:
        work = self._work
        first = T.Bind(block * self._blocks.width)

        def row(image: Expr, y: Expr, kind: Strip) -> None:
            for tiles in columns(work.window, work.input[1], work.output[1], self._tiling.pixels):
                tile = partial(self._tile, kind, image, y, first, width, tiles)
                emit.repeat(tiles.count, tile)

        self._strips.emit(strip, row)

    def _tile(
        self,
        kind: Strip,
        image: Expr,
        y: Expr,
        first: Expr,
        width: int,
        tiles: Columns,
        number: Expr,
    ) -> None:
        work, window = self._work, self._work.window
        x = T.Bind(tiles.start + number * tiles.pixels)
        sums = IntegerSums(kind.rows * tiles.pixels, width, self._lanes)
        sums.start(self._buffers["bias"], first)
        line = image * work.input[0] + y * window.stride[0] - window.padding[0]
        place = line * work.input[1] + x * window.stride[1] - window.padding[1]
        self._add(sums, kind, tiles, T.Bind(place * work.channels + first), first, width)
        finish = Finish(work.epilogue, self._buffers, first, self._lanes)
        start = T.Bind(((image * work.output[0] + y) * work.output[1] + x) * work.channels + first)

        def at(output: int) -> Expr:
            row, pixel = divmod(output, tiles.pixels)
            return start + (row * work.output[1] + pixel) * work.channels

        sums.finish(finish, at)

    def _add(
        self,
        sums: IntegerSums,
        kind: Strip,
        tiles: Columns,
        place: Expr,
        first: Expr,
        width: int,
    ) -> None:
        """Add all products to a tile's sums, column by column of the input."""
        window, rows = self._work.window, self._tiling.rows
        block = first * window.kernel[1] * rows * QUAD
        for column, under in tiles.reads():
            split = self._split(sums, kind, column, place)
            for kx in sorted({kx for _, kx in under}):
                for row in range(kind.rows):
                    at = block + (kx * rows + row) * width * QUAD
                    weights = sums.weights(self._buffers["weights"], at, columns=True)
                    for pixel in [pixel for pixel, other in under if other == kx]:
                        output = row * tiles.pixels + pixel
                        for register, weight in enumerate(weights):
                            sums.add_dot(output, register, split[register], weight)

    def _split(
        self, sums: IntegerSums, kind: Strip, column: int | None, place: Expr
    ) -> list[list[Expr]]:
        """Return four rows of a column for each register, as `Lanes.dot` wants them."""
        of = self._lanes
        word = T.Bind(emit.load(self._buffers["settings"], OUTSIDE, 1))
        made: list[list[Expr]] = []
        for together in sums.together:
            offset, width = sums.offsets[len(made)], sum(together)
            if column is None:
                made += of.outside(word, together)
                continue
            lines = []
            for line, inside in enumerate(kind.inside):
                if inside:
                    step = (line * self._work.input[1] + column) * self._work.channels
                    given = emit.load(self._buffers["input"], place + step + offset, width)
                else:
                    given = of.in_all(word, width // QUAD)
                lines.append(T.Bind(given))
            # Weights of what is below are zero.
            lines += lines[-1:] * (QUAD - len(lines))
            if len(together) == 1:
                made.append(of.column(lines, width))
            else:
                first = of.pairs(lines[0], lines[1], width)
                second = of.pairs(lines[2], lines[3], width)
                made += of.columns([T.Bind(one) for one in first], [T.Bind(one) for one in second])
        return made
