"""Provides depthwise convolutions of bytes: four taps of a row in one instruction.

Four columns of a row are interleaved byte by byte. One such vector serves several neighbouring
outputs where the window has fewer than four taps more: their weights stand further to the right.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script.builder import ir as T

from facebench.harness.compiler.integers import strips
from facebench.harness.compiler.integers.convolution import IntegerTiling
from facebench.harness.compiler.integers.instructions import lanes_of
from facebench.harness.compiler.integers.lanes import QUAD, Lanes
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
from facebench.harness.compiler.workload import Depthwise, Window


def emit_depthwise(work: Depthwise, tiling: IntegerTiling, vectors: ByteVectors) -> tirx.PrimFunc:
    """Return the kernel: arguments input, weights, bias, then those of `sums.operands`."""
    if tiling.rows > 1:
        return strips.emit_strips(work, tiling, vectors)
    return emit.function("depthwise", _IntegerDepthwise(work, tiling, vectors).emit)


def channel_order(work: Depthwise, tiling: IntegerTiling, vectors: ByteVectors) -> list[int]:
    """Return the channel at each place of the kernel's bias and multipliers."""
    lanes = lanes_of(vectors)
    order: list[int] = []
    for first in range(0, work.channels, tiling.width):
        width = min(tiling.width, work.channels - first)
        order += [first + place for place in lanes.order(width, _packed(work))]
    return order


def pack(
    work: Depthwise, tiling: IntegerTiling, vectors: ByteVectors, weights: NDArray[np.int8]
) -> NDArray[np.integer[Any]]:
    """Return weights (C, 1, KH, KW) in the order in which the kernel reads them, flat.

    That is block of channels, row of taps, how far the taps stand to the right, four of them,
    channel, tap of the four; where a tile has several rows, as `strips.pack` says.
    """
    lanes, window = lanes_of(vectors), work.window
    ordered = weights[channel_order(work, tiling, vectors), 0]
    if tiling.rows > 1:
        return strips.pack(work, tiling, vectors, ordered)
    shifted = np.zeros((*ordered.shape[:2], _shifts(window), _taps(window)), np.int8)
    for shift in range(_shifts(window)):
        shifted[:, :, shift, shift : shift + window.kernel[1]] = ordered
    parts = []
    for first in range(0, work.channels, tiling.width):
        block = shifted[first : first + tiling.width]
        split = block.reshape(*block.shape[:3], -1, QUAD)
        rows = split.transpose(1, 2, 3, 0, 4)
        parts.append(lanes.weights_kept(rows, _packed(work), columns=True))
    return np.ascontiguousarray(np.concatenate(parts))


def _packed(work: Depthwise) -> bool:
    """Say whether sums become bytes, several registers together; an embedding's do not."""
    return "real" not in work.epilogue


def _taps(window: Window) -> int:
    """Return the taps of a row, rounded up to fours."""
    return -(-window.kernel[1] // QUAD) * QUAD


def _shifts(window: Window) -> int:
    """Return how many neighbouring outputs have all their taps in the same columns."""
    alike = window.stride[1] == window.dilation[1] == 1
    return _taps(window) - window.kernel[1] + 1 if alike else 1


class _IntegerDepthwise:
    """One kernel while it is emitted."""

    def __init__(self, work: Depthwise, tiling: IntegerTiling, vectors: ByteVectors) -> None:
        self._work = work
        self._tiling = tiling
        self._lanes = lanes_of(vectors)
        self._blocks = Blocks(work.channels, tiling.width)

    def emit(self) -> None:
        work, window = self._work, self._work.window
        output = (work.batch, *work.output, work.channels)
        held = work.channels * window.kernel[0] * _shifts(window) * _taps(window)
        shapes: dict[str, tuple[tuple[int, ...], str]] = {
            "input": ((work.batch, *work.input, work.channels), self._lanes.kind),
            "weights": ((self._lanes.kept_for(held),), self._lanes.weights_type()),
            "bias": ((work.channels,), "int32"),
        }
        self._buffers = arguments(
            shapes | operands(work.epilogue, work.channels, output, self._lanes.kind)
        )
        rows = work.batch * work.output[0]

        def task(row: Expr, block: Expr, _: Expr) -> None:
            row, block = T.Bind(row), T.Bind(block)
            self._blocks.emit(block, lambda width: self._row(row, block, width))

        sharing.tasks(rows, self._blocks.count, self._tiling.weights_first, task)

    def _row(self, row: Expr, block: Expr, width: int) -> None:
        work = self._work
        first = T.Bind(block * self._blocks.width)
        for tiles in columns(work.window, work.input[1], work.output[1], self._tiling.pixels):
            emit.repeat(tiles.count, partial(self._tile, row, first, width, tiles))

    def _tile(self, row: Expr, first: Expr, width: int, tiles: Columns, number: Expr) -> None:
        work, window = self._work, self._work.window
        image, y = T.Bind(row // work.output[0]), T.Bind(row % work.output[0])
        x = T.Bind(tiles.start + number * tiles.pixels)
        left = x * window.stride[1] - window.padding[1]
        sums = IntegerSums(tiles.pixels, width, self._lanes, _packed(work))
        sums.start(self._buffers["bias"], first)
        row_of_weights = _shifts(window) * _taps(window)

        def taps(ky: Expr, inside: bool) -> None:
            line = y * window.stride[0] - window.padding[0] + ky * window.dilation[0]
            base = (image * work.input[0] + line) * work.input[1] + left
            place = T.Bind(base * work.channels + first) if inside else None
            at = T.Bind((first * window.kernel[0] + ky * width) * row_of_weights)
            _Row(work, self._buffers, tiles, place).emit(sums, at, width)

        rows_of_taps(window, work.input[0], work.output[0], y, taps)
        finish = Finish(work.epilogue, self._buffers, first, self._lanes)
        start = T.Bind((row * work.output[1] + x) * work.channels + first)
        sums.finish(finish, lambda i: start + i * work.channels)


class _Row:
    """It is one row of the windows of a tile, which reads each column once.

    Args:
        place: of the first column in the input; None where the row is outside.
    """

    def __init__(
        self, work: Depthwise, buffers: dict[str, Expr], tiles: Columns, place: Expr
    ) -> None:
        self._channels = work.channels
        self._window = work.window
        self._buffers = buffers
        self._tiles = tiles
        self._place = place
        self._inside = {
            column for kx in range(work.window.kernel[1]) for column in tiles.taps(kx)
        } - {None}
        self._loaded: dict[tuple[int, int], Expr] = {}
        self._paired: dict[tuple[int, int, int], list[Expr]] = {}

    def emit(self, sums: IntegerSums, weights: Expr, width: int) -> None:
        """Add the row's products to a tile's sums."""
        window, shifts = self._window, _shifts(self._window)
        for four in range(0, _taps(window), QUAD):
            rows = [
                sums.weights(
                    self._buffers["weights"],
                    weights + (shift * _taps(window) + four) * width,
                    columns=True,
                )
                for shift in range(shifts)
            ]
            for pixel in range(0, self._tiles.pixels, shifts):
                start = pixel * window.stride[1] + four * window.dilation[1]
                split = self._split(sums, start)
                for shift in range(min(shifts, self._tiles.pixels - pixel)):
                    for register, row in enumerate(rows[shift]):
                        sums.add_dot(pixel + shift, register, split[register], row)

    def _split(self, sums: IntegerSums, start: int) -> list[list[Expr]]:
        """Return four columns from `start` on for each register, as `Lanes.dot` wants them."""
        made: list[list[Expr]] = []
        of, columns = sums.instructions, [start + i * self._window.dilation[1] for i in range(QUAD)]
        for together in sums.together:
            offset, width = sums.offsets[len(made)], sum(together)
            if self._place is None:
                word = T.Bind(emit.load(self._buffers["settings"], OUTSIDE, 1))
                made += of.outside(word, together)
            elif len(together) == 1:
                vectors = [self._load(of, column, offset, width) for column in columns]
                made.append(of.column(vectors, width))
            else:
                first = self._pair(of, columns[0], columns[1], offset, width)
                second = self._pair(of, columns[2], columns[3], offset, width)
                made += of.columns(first, second)
        return made

    def _pair(self, of: Lanes, left: int, right: int, offset: int, width: int) -> list[Expr]:
        key = (left, right, offset)
        if key not in self._paired:
            first, second = (self._load(of, column, offset, width) for column in (left, right))
            self._paired[key] = [T.Bind(half) for half in of.pairs(first, second, width)]
        return self._paired[key]

    def _load(self, of: Lanes, column: int, offset: int, width: int) -> Expr:
        """Return channels of a column, zeros where it is outside or its weights are zero."""
        if (column, offset) not in self._loaded:
            if self._place is not None and column in self._inside:
                place = self._place + column * self._channels + offset
                made = emit.load(self._buffers["input"], place, width)
            else:
                word = emit.load(self._buffers["settings"], OUTSIDE, 1)
                made = of.in_all(word, width // QUAD)
            self._loaded[column, offset] = T.Bind(made)
        return self._loaded[column, offset]
