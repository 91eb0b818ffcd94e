"""Provides dense and grouped convolutions: tiles of pixels by channels over the whole reduction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from tvm import tirx
from tvm.tirx.script.builder import ir as T

from facebench.harness.compiler.kernels import emit, sharing
from facebench.harness.compiler.kernels.accumulation import Accumulation
from facebench.harness.compiler.kernels.emit import Blocks, Expr, Steps, Sums
from facebench.harness.compiler.kernels.sharing import Tiles
from facebench.harness.compiler.kernels.window import Columns, Rows, columns
from facebench.harness.compiler.vectors import Vectors
from facebench.harness.compiler.workload import Convolution, Shifted
from facebench.harness.stats.arrays import FloatArray


@dataclass(frozen=True)
class ConvolutionTiling:
    """How a convolution is blocked.

    Attributes:
        pixels: rows of a tile of sums.
        vectors: registers of a row.
        unroll: input channels a step of the innermost loop.
        chunk: pixels of a task where the convolution is pointwise; else a task has
            one row, and this is its length.
        weights_first: a block of weights stays in the cache while the pixels go by;
            else a chunk of pixels does.
    """

    pixels: int
    vectors: int
    unroll: int
    chunk: int
    weights_first: bool


def emit_convolution(
    work: Convolution, tiling: ConvolutionTiling, vectors: Vectors
) -> tirx.PrimFunc:
    """Return the kernel: arguments input, weights, bias, then slopes and added map if any,
    output.
    """
    return emit.function("convolution", _ConvolutionKernel(work, tiling, vectors).emit)


def pack(
    work: Convolution, tiling: ConvolutionTiling, vectors: Vectors, weights: FloatArray
) -> FloatArray:
    """Return weights `(F, C / groups, KH, KW)` in the order in which the kernel reads them, flat.

    That is group, block of filters, then tap and input channel, or, where the input
    is planar, input channel and tap; then filters.
    """
    width = tiling.vectors * vectors.lanes
    order = (1, 2, 3, 0) if work.planar else (2, 3, 1, 0)
    parts = []
    for filters in np.split(weights, work.groups):
        for start in range(0, len(filters), width):
            parts.append(filters[start : start + width].transpose(order).ravel())
    return np.concatenate(parts).astype(vectors.element)


class _ConvolutionKernel:
    """One kernel while it is emitted."""

    def __init__(self, work: Convolution, tiling: ConvolutionTiling, vectors: Vectors) -> None:
        self._work = work
        self._tiling = tiling
        self._vectors = vectors
        self._filters = work.filters // work.groups
        self._channels = work.channels // work.groups
        self._blocks = Blocks(self._filters, tiling.vectors * vectors.lanes)
        self._pointwise = work.window.pointwise() and not work.planar

    def emit(self) -> None:
        work = self._work
        height, width = work.input
        map_shape = (
            (work.batch, work.channels, height, width)
            if work.planar
            else (work.batch, height, width, work.channels)
        )
        out_shape = (work.batch, *work.output, work.filters)
        shapes = {
            "input": map_shape,
            "weights": (work.filters * work.reduced,),
            "bias": (work.filters,),
            **emit.epilogue_shapes(work.epilogue, out_shape),
            "output": out_shape,
        }
        self._buffers = emit.arguments(shapes, self._vectors.element)
        given, weights = self._buffers["input"], self._buffers["weights"]
        self._accumulation = Accumulation(given, weights, self._vectors)
        self._tasks()

    def _tasks(self) -> None:
        """Emit one loop over chunks of pixels, groups and blocks of filters, run by threads."""
        work, tiling = self._work, self._tiling
        pixels = work.batch * work.output[0] * work.output[1]
        chunks = pixels // tiling.chunk
        blocks = work.groups * self._blocks.count
        tiles = Tiles(tiling.chunk, tiling.pixels)
        parts = tiles.parts(chunks * blocks) if self._pointwise else 1

        def task(chunk: Expr, number: Expr, part: Expr) -> None:
            group = T.Bind(number // self._blocks.count)
            block = T.Bind(number % self._blocks.count)
            chunk = T.Bind(chunk)

            def body(width: int) -> None:
                first = T.Bind(group * self._filters + block * self._blocks.width)
                weights = T.Bind(first * work.reduced)
                if not self._pointwise:
                    self._row_tiles(chunk, group, first, weights, width)
                    self._activate(first, width, chunk * tiling.chunk, tiling.chunk)
                    return
                tile = partial(self._pointwise_tile, group, first, weights, width)
                pixel = chunk * tiling.chunk
                tiles.emit(part, parts, lambda start, pixels: tile(T.Bind(pixel + start), pixels))
                low, high = tiles.bounds(part, parts)
                self._activate(first, width, pixel + low, high - low)

            self._blocks.emit(block, body)

        sharing.tasks(chunks, blocks, tiling.weights_first, task, parts)

    def _pointwise_tile(
        self, group: Expr, first: Expr, weights: Expr, width: int, pixel: Expr, pixels: int
    ) -> None:
        work = self._work
        sums = self._start(pixels, width, first)
        base = T.Bind(pixel * work.channels)
        inputs = [base + i * work.channels for i in range(pixels)]
        self._channel_loops(sums, inputs, weights, width, group)
        self._finish(sums, first, lambda i: (pixel + i) * work.filters + first)

    def _row_tiles(self, row: Expr, group: Expr, first: Expr, weights: Expr, width: int) -> None:
        work = self._work
        rows = Rows(work.window, work.input[0], work.output[0])
        image, y = T.Bind(row // work.output[0]), T.Bind(row % work.output[0])
        for tiles in columns(work.window, work.input[1], work.output[1], self._tiling.pixels):

            def tile(number: Expr, tiles: Columns = tiles) -> None:
                x = tiles.start + number * tiles.pixels
                sums = self._start(tiles.pixels, width, first)
                left = x * work.window.stride[1] - work.window.padding[1]

                def taps(ky: Expr, line: Expr) -> None:
                    if work.planar:
                        self._planar(sums, tiles, image, line, left, ky, weights, width)
                        return
                    base = T.Bind((image * work.input[0] + line) * work.input[1] + left)
                    for kx in range(work.window.kernel[1]):
                        inputs = self._under(tiles, kx, base)
                        tap = ky * work.window.kernel[1] + kx
                        if isinstance(work, Shifted):
                            self._run(sums, inputs, tap * work.share, work.share, weights, width)
                            continue
                        at = tap * self._channels * width
                        self._channel_loops(sums, inputs, weights + at, width, group)

                rows.emit(y, taps)
                if isinstance(work, Shifted):
                    line = image * work.input[0] + y * work.window.stride[0]
                    base = T.Bind(line * work.input[1] + left)
                    inputs = self._under(tiles, work.window.padding[1], base)
                    moved = work.share * work.window.taps
                    self._run(sums, inputs, moved, work.channels - moved, weights, width)
                self._finish(
                    sums, first, lambda i: (row * work.output[1] + x + i) * work.filters + first
                )

            emit.repeat(tiles.count, tile)

    def _under(self, tiles: Columns, kx: int, base: Expr) -> list[Expr | None]:
        """Return where the pixels under a column of taps begin; None outside."""
        return [
            None if column is None else (base + column) * self._work.channels
            for column in tiles.taps(kx)
        ]

    def _start(self, pixels: int, width: int, first: Expr) -> Sums:
        sums = Sums(pixels, width, self._vectors)
        sums.start(sums.vectors(self._buffers["bias"], first))
        return sums

    def _activate(self, first: Expr, width: int, pixel: Expr, pixels: Expr) -> None:
        steps = Steps(self._work.epilogue, self._buffers, first, self._vectors)
        emit.activate(
            self._buffers["output"],
            lambda i: (pixel + i) * self._work.filters + first,
            pixels,
            width,
            steps,
        )

    def _finish(self, sums: Sums, first: Expr, at: Callable[[int], Expr]) -> None:
        steps = Steps(self._work.epilogue, self._buffers, first, self._vectors)
        sums.finish(self._buffers["output"], at, steps)

    def _channel_loops(
        self,
        sums: Sums,
        inputs: Sequence[Expr | None],
        weights: Expr,
        width: int,
        group: Expr,
    ) -> None:
        """Sums over a group's channels: `inputs` are the pixels' places, None outside."""
        if self._work.shuffle > 1:
            self._shuffled_loops(sums, inputs, weights, width, group)
            return
        start = group * self._channels
        places = [None if place is None else T.Bind(place + start) for place in inputs]
        unroll = self._tiling.unroll
        self._accumulation.channels(sums, places, weights, width, self._channels, unroll)

    def _run(
        self,
        sums: Sums,
        inputs: Sequence[Expr | None],
        first: Expr,
        count: int,
        weights: Expr,
        width: int,
    ) -> None:
        """Sums over `count` channels from `first` on, of a group that has all of them."""
        places = [None if place is None else T.Bind(place + first) for place in inputs]
        start, unroll = T.Bind(weights + first * width), self._tiling.unroll
        self._accumulation.channels(sums, places, start, width, count, unroll)

    def _shuffled_loops(
        self,
        sums: Sums,
        inputs: Sequence[Expr | None],
        weights: Expr,
        width: int,
        group: Expr,
    ) -> None:
        """Emit the same where channel c is at c % shuffle * (channels // shuffle) + c // shuffle.

        Channels of one remainder lie side by side, and their weights `shuffle` rows apart.
        """
        apart, unroll = self._work.shuffle, self._tiling.unroll
        first, end = group * self._channels, (group + 1) * self._channels
        with T.serial(0, apart) as remainder:
            low = T.Bind(tirx.floordiv(first - remainder + apart - 1, apart))
            count = T.Bind(tirx.floordiv(end - remainder + apart - 1, apart) - low)
            start = T.Bind(remainder * (self._work.channels // apart) + low)
            row = T.Bind(weights + (low * apart + remainder - first) * width)

            def steps(done: Expr, channels: int, skipped: int = 0) -> None:
                moved = [None if place is None else place + start + done for place in inputs]
                at = row + done * apart * width
                self._accumulation.steps(sums, moved, at, apart * width, channels, skipped)

            whole = T.Bind(count // unroll)
            with T.serial(0, whole) as number:
                steps(number * unroll, unroll)
            self._rest_of_run(steps, whole * unroll, count)

    def _rest_of_run(self, steps: Callable[..., None], done: Expr, count: Expr) -> None:
        """Emit the channels of a run after `done`, fewer than a step's."""
        lanes = self._vectors.lanes
        shortest = self._channels // self._work.shuffle
        if not self._vectors.by_lane or shortest < lanes or self._tiling.unroll != lanes:
            with T.serial(0, count - done) as number:
                steps(done + number, 1)
            return
        # The last whole vector of the run, of which the first lanes were used before.
        for rest in range(1, lanes):
            with T.If(count - done == rest), T.Then():
                steps(count - lanes, lanes, lanes - rest)

    def _planar(
        self,
        sums: Sums,
        tiles: Columns,
        image: Expr,
        line: Expr,
        left: Expr,
        ky: Expr,
        weights: Expr,
        width: int,
    ) -> None:
        """Emit the taps of one row of all channels, where each channel is a plane."""
        work = self._work
        kernel = work.window.kernel
        needed = sorted({c for kx in range(kernel[1]) for c in tiles.taps(kx) if c is not None})
        if not needed:  # the tile lies in the padding
            return
        with T.serial(0, work.channels) as channel:
            plane = image * work.channels + channel
            base = T.Bind((plane * work.input[0] + line) * work.input[1] + left)
            values = self._line(base, needed)
            at = T.Bind(weights + (channel * kernel[0] + ky) * kernel[1] * width)
            for kx in range(kernel[1]):
                row = sums.vectors(self._buffers["weights"], at + kx * width)
                for pixel, column in enumerate(tiles.taps(kx)):
                    if column is not None:
                        sums.multiply_add(pixel, values[column], row)

    def _line(self, base: Expr, needed: Sequence[int]) -> dict[int, Expr]:
        """Return elements of a row by their column, counted from `base`."""
        lanes = self._vectors.lanes
        low, high = needed[0], needed[-1]
        if not self._vectors.by_lane or high - low + 1 < lanes:
            return {c: self._accumulation.elements(base + c, 1)[0] for c in needed}
        values: dict[int, Expr] = {}
        for start in [*range(low, high - lanes + 2, lanes), high - lanes + 1]:
            values |= dict(enumerate(self._accumulation.elements(base + start, lanes), start))
        return values
