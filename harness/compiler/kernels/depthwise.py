"""Provides depthwise convolutions and pooling: vectors of channels, each by itself.

A column of the input is loaded once for all outputs of the tile that it is under.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from tvm import tirx
from tvm.tirx.script.builder import ir as T

from facebench.harness.compiler.kernels import emit
from facebench.harness.compiler.kernels.emit import Blocks, Expr, Steps, Sums
from facebench.harness.compiler.kernels.window import Columns, Rows, columns
from facebench.harness.compiler.vectors import Vectors
from facebench.harness.compiler.workload import Depthwise, Pooling
from facebench.harness.stats.arrays import FloatArray


@dataclass(frozen=True)
class DepthwiseTiling:
    """How a depthwise convolution or pooling is blocked.

    Attributes:
        pixels: outputs of a tile, in a row.
        vectors: registers of channels of each.
        channels_first: a block of channels is done for all rows before the next;
            else a row is done for all channels.
    """

    pixels: int
    vectors: int
    channels_first: bool


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


class _DepthwiseKernel:
    """One kernel while it is emitted."""

    def __init__(
        self, work: Depthwise | Pooling, tiling: DepthwiseTiling, vectors: Vectors
    ) -> None:
        self._work = work
        self._tiling = tiling
        self._vectors = vectors
        self._blocks = Blocks(work.channels, tiling.vectors * vectors.lanes)

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
        rows = work.batch * work.output[0]
        with T.parallel(0, rows * self._blocks.count) as task:
            if self._tiling.channels_first:
                row, block = task % rows, task // rows
            else:
                row, block = task // self._blocks.count, task % self._blocks.count
            row, block = T.Bind(row), T.Bind(block)
            self._blocks.emit(block, lambda width: self._row(row, block, width))

    def _row(self, row: Expr, block: Expr, width: int) -> None:
        work = self._work
        first = T.Bind(block * self._blocks.width)
        for group in columns(work.window, work.input[1], work.output[1], self._tiling.pixels):
            emit.repeat(group.count, partial(self._tile, row, first, width, group))

    def _tile(self, row: Expr, first: Expr, width: int, group: Columns, number: Expr) -> None:
        work = self._work
        rows = Rows(work.window, work.input[0], work.output[0])
        image, y = T.Bind(row // work.output[0]), T.Bind(row % work.output[0])
        x = group.start + number * group.pixels
        left = x * work.window.stride[1] - work.window.padding[1]
        sums = Sums(group.pixels, width, self._vectors)
        sums.start(self._initial(sums, first))

        def taps(ky: Expr, line: Expr) -> None:
            base = T.Bind(((image * work.input[0] + line) * work.input[1] + left) * work.channels)
            combine = self._combine(sums, first, width, ky)
            for column, under in _by_column(group):
                values = sums.vectors(self._buffers["input"], base + column * work.channels + first)
                for pixel, kx in under:
                    for register, value in enumerate(values):
                        combine(pixel, kx, register, value)

        rows.emit(y, taps)
        if isinstance(work, Pooling) and work.kind == "mean":
            self._scale(sums, 1 / work.window.taps)
        steps = Steps(work.epilogue, self._buffers, first, self._vectors)
        sums.finish(
            self._buffers["output"],
            lambda i: (row * work.output[1] + x + i) * work.channels + first,
            steps,
        )

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
        factor = float(np.dtype(self._vectors.element).type(factor))
        for pixel in range(sums.pixels):
            for register in range(len(sums.lanes)):
                sums.scale(pixel, register, factor)


def _by_column(group: Columns) -> list[tuple[int, list[tuple[int, int]]]]:
    """Return each column of the input under a tile, and the outputs and taps that read it."""
    reads: dict[int, list[tuple[int, int]]] = {}
    for kx in range(group.window.kernel[1]):
        for pixel, column in enumerate(group.taps(kx)):
            if column is not None:
                reads.setdefault(column, []).append((pixel, kx))
    return sorted(reads.items())
