"""Provides what makes bytes of an image, and pools of bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from tvm import tirx
from tvm.tirx.script.builder import ir as T

from facebench.harness.compiler.integers.instructions import lanes_of
from facebench.harness.compiler.integers.lanes import Lanes, integers
from facebench.harness.compiler.integers.sums import (
    ADDED_ZERO,
    OUTSIDE,
    ZERO,
    Finish,
    IntegerSums,
    arguments,
    operands,
    rounded,
)
from facebench.harness.compiler.kernels import emit
from facebench.harness.compiler.kernels.emit import Blocks, Expr
from facebench.harness.compiler.kernels.window import Columns, Rows, columns
from facebench.harness.compiler.vectors import ByteVectors
from facebench.harness.compiler.workload import Pooling
from facebench.harness.models.integer_network.network import FRACTION

# Pixels of the image that are done at once, and the channels that a pixel is filled up to.
_PIXELS, PLANES = 16, 4

# Places in what an image's kernel is told: limits of a pixel, and the multiplier.
LOW, HIGH, MULTIPLIER = range(3)


# Emits what is done with each element under a window, given its place.
_Taps = Callable[[Callable[[Expr], None]], None]


@dataclass(frozen=True)
class ImageBytes:
    """It makes bytes (N, H, W, 4) of an image (N, 3, H, W); the fourth stands for zero.

    Attributes:
        batch: images.
        input: height and width.
    """

    batch: int
    input: tuple[int, int]


def emit_image(work: ImageBytes, vectors: ByteVectors) -> tirx.PrimFunc:
    """Return the kernel: arguments image, limits and multiplier, settings, output.

    Its settings alone are numbers, as they are before `Lanes.origin` is subtracted; the offset is
    in the place of the result's zero.
    """
    return emit.function("image", lambda: _image(work, lanes_of(vectors)))


def _image(work: ImageBytes, of: Lanes) -> None:
    height, width = work.input
    area = height * width
    buffers = arguments({
        "input": ((work.batch, 3, height, width), "float32"),
        "scaling": ((3,), "float32"),
        "settings": ((5,), "int32"),
        "output": ((work.batch, height, width, PLANES), of.kind),
    })  # fmt: skip

    def pixels(image: Expr, start: Expr, lanes: int) -> None:
        def told(place: int) -> Expr:
            return emit.splat(emit.load(buffers["scaling"], place, 1), lanes)

        offset = emit.splat(emit.load(buffers["settings"], ZERO, 1), lanes)
        outside = emit.splat(emit.load(buffers["settings"], OUTSIDE, 1), lanes)
        word = tirx.bitwise_and(outside, integers(-(1 << 24), lanes))
        for plane in range(3):
            value = emit.load(buffers["input"], (image * 3 + plane) * area + start, lanes)
            value = tirx.Min(tirx.Max(value, told(LOW)), told(HIGH))
            bits = tirx.reinterpret(f"int32x{lanes}", rounded(value, told(MULTIPLIER), lanes))
            byte = tirx.shift_right(bits - offset, integers(FRACTION, lanes))
            byte = tirx.Max(byte, integers(0, lanes))
            byte = tirx.Min(byte, integers(255, lanes))
            word = tirx.bitwise_or(word, tirx.shift_left(byte, integers(8 * plane, lanes)))
        # Of 128, the subtraction from a byte turns its first bit.
        origins = int(np.full(PLANES, of.origin, np.uint8).view(np.int32)[0])
        word = tirx.bitwise_xor(word, integers(origins, lanes))
        made = tirx.reinterpret(f"{of.kind}x{PLANES * lanes}", word)
        emit.store(buffers["output"], (image * area + start) * PLANES, made, PLANES * lanes)

    full, rest = divmod(area, _PIXELS)
    if full:
        with T.parallel(0, work.batch * full) as task:
            image = T.Bind(task // full)
            pixels(image, task % full * _PIXELS, _PIXELS)
    if rest:
        with T.serial(0, work.batch) as image:
            start = area - rest
            for lanes in emit.register_lanes(rest, _PIXELS):
                pixels(image, start, lanes)
                start += lanes


def emit_pooling(work: Pooling, vectors: ByteVectors) -> tirx.PrimFunc:
    """Return the kernel: arguments input, then those of `sums.operands`."""
    return emit.function("pooling", _IntegerPooling(work, vectors).emit)


class _IntegerPooling:
    """One kernel while it is emitted: a pixel of the output at a time, some channels of it."""

    def __init__(self, work: Pooling, vectors: ByteVectors) -> None:
        self._work = work
        self._lanes = lanes_of(vectors)
        self._blocks = Blocks(work.channels, vectors.packed)

    def emit(self) -> None:
        work = self._work
        output = (work.batch, *work.output, work.channels)
        shapes: dict[str, tuple[tuple[int, ...], str]] = {
            "input": ((work.batch, *work.input, work.channels), self._lanes.kind)
        }
        self._buffers = arguments(
            shapes | operands(work.epilogue, work.channels, output, self._lanes.kind)
        )
        with T.parallel(0, work.batch * work.output[0] * self._blocks.count) as task:
            row, block = T.Bind(task // self._blocks.count), T.Bind(task % self._blocks.count)
            self._blocks.emit(block, lambda width: self._row(row, block, width))

    def _row(self, row: Expr, block: Expr, width: int) -> None:
        work = self._work
        first = T.Bind(block * self._blocks.width)
        for tiles in columns(work.window, work.input[1], work.output[1], 1):
            emit.repeat(tiles.count, self._pixel(row, first, width, tiles))

    def _pixel(self, row: Expr, first: Expr, width: int, tiles: Columns) -> Callable[[Expr], None]:
        work, window = self._work, self._work.window
        rows = Rows(window, work.input[0], work.output[0])

        def pixel(number: Expr) -> None:
            image, y = T.Bind(row // work.output[0]), T.Bind(row % work.output[0])
            x = T.Bind(tiles.start + number)
            left = x * window.stride[1] - window.padding[1]

            def taps(tap: Callable[[Expr], None]) -> None:
                def line(_: Expr, line: Expr) -> None:
                    base = T.Bind((image * work.input[0] + line) * work.input[1] + left)
                    for kx in range(window.kernel[1]):
                        (column,) = tiles.taps(kx)
                        if column is not None:
                            tap((base + column) * work.channels + first)

                rows.emit(y, line)

            finish = Finish(work.epilogue, self._buffers, first, self._lanes)
            start = (row * work.output[1] + x) * work.channels + first
            pool = self._mean if work.kind == "mean" else self._largest
            pool(width, finish, start, taps)

        return pixel

    def _mean(self, width: int, finish: Finish, start: Expr, taps: _Taps) -> None:
        """Emit a pixel's mean elements: sums about their zero."""
        sums = IntegerSums(1, width, self._lanes)
        sums.fill(0)

        def tap(place: Expr) -> None:
            register = 0
            for together in sums.together:
                at = place + sums.offsets[register]
                given = emit.load(self._buffers["input"], at, sum(together))
                for wide in self._lanes.widened(given, together, finish.setting(ADDED_ZERO)):
                    sums.update(0, register, lambda held, more=wide: held + more)  # type: ignore[misc]
                    register += 1

        taps(tap)
        sums.finish(finish, lambda _: start)

    def _largest(self, width: int, finish: Finish, start: Expr, taps: _Taps) -> None:
        """Emit a pixel's largest elements, which are bytes as they were."""
        kind, sizes = self._lanes.kind, emit.register_lanes(width, self._lanes.vectors.packed)
        places = [sum(sizes[:i]) for i in range(len(sizes))]
        held = [T.alloc_buffer((size,), kind, scope="global") for size in sizes]
        for one, size in zip(held, sizes, strict=True):
            least = tirx.IntImm(kind, -self._lanes.origin)
            emit.store(one, 0, emit.splat(least, size), size)

        def tap(place: Expr) -> None:
            for one, offset, size in zip(held, places, sizes, strict=True):
                given = emit.load(self._buffers["input"], place + offset, size)
                emit.store(one, 0, tirx.Max(emit.load(one, 0, size), given), size)

        taps(tap)
        for one, offset, size in zip(held, places, sizes, strict=True):
            made = finish.limited(emit.load(one, 0, size), size)
            emit.store(self._buffers["output"], start + offset, made, size)
