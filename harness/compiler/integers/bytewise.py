"""Provides functions of bytes by table, and products and larger ones of two maps' bytes."""

from __future__ import annotations

from dataclasses import dataclass

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from facebench.harness.compiler.integers.instructions import lanes_of
from facebench.harness.compiler.integers.lanes import QUAD, shuffled
from facebench.harness.compiler.integers.sums import (
    ADDED_ZERO,
    OUTSIDE,
    Finish,
    IntegerSums,
    arguments,
    operands,
)
from facebench.harness.compiler.kernels import emit
from facebench.harness.compiler.kernels.emit import Blocks, Expr
from facebench.harness.compiler.vectors import ByteVectors


@dataclass(frozen=True)
class TableOfBytes:
    """It is what a table has for each byte of a map.

    Attributes:
        batch: images.
        input: height and width.
        channels: that lie in memory.
    """

    batch: int
    input: tuple[int, int]
    channels: int


@dataclass(frozen=True)
class PairOfBytes:
    """It is the product or the larger one of two maps' bytes.

    Attributes:
        batch: images.
        input: height and width.
        channels: that lie in memory.
        kind: `product` or `max`.
        pixel: the second map has one pixel, which is that of all.
    """

    batch: int
    input: tuple[int, int]
    channels: int
    kind: str
    pixel: bool


def emit_table(work: TableOfBytes, vectors: ByteVectors) -> tirx.PrimFunc:
    """Return the kernel: arguments input, table, output."""
    return emit.function("table", lambda: _table(work, vectors))


def _table(work: TableOfBytes, vectors: ByteVectors) -> None:
    of = lanes_of(vectors)
    height, width = work.input
    shape, row = (work.batch, height, width, work.channels), width * work.channels
    buffers = arguments(
        {"input": (shape, of.kind), "table": ((256,), of.kind), "output": (shape, of.kind)}
    )
    with T.parallel(0, work.batch * height) as line, T.serial(0, row // QUAD) as four:
        start = T.Bind(line * row + four * QUAD)
        for i in range(QUAD):
            byte = tirx.Cast("int32", emit.load(buffers["input"], start + i, 1))
            made = emit.load(buffers["table"], T.Bind(byte + of.origin), 1)
            emit.store(buffers["output"], start + i, made, 1)


def emit_pair(work: PairOfBytes, vectors: ByteVectors) -> tirx.PrimFunc:
    """Return the kernel: arguments are both maps, multipliers and settings, output."""
    return emit.function("pair", _Pair(work, vectors).emit)


class _Pair:
    """One kernel while it is emitted: some channels of a row of pixels at a time."""

    def __init__(self, work: PairOfBytes, vectors: ByteVectors) -> None:
        self._work = work
        self._lanes = lanes_of(vectors)
        self._blocks = Blocks(work.channels, vectors.packed)

    def emit(self) -> None:
        work, kind = self._work, self._lanes.kind
        height, width = work.input
        shape = (work.batch, height, width, work.channels)
        other = (work.batch, 1, 1, work.channels) if work.pixel else shape
        shapes: dict[str, tuple[tuple[int, ...], str]] = {
            "input": (shape, kind),
            "other": (other, kind),
        }
        self._buffers = arguments(shapes | operands((), work.channels, shape, kind))
        with T.parallel(0, work.batch * height * self._blocks.count) as task:
            row, block = T.Bind(task // self._blocks.count), T.Bind(task % self._blocks.count)
            self._blocks.emit(block, lambda size: self._row(row, block, size))

    def _row(self, row: Expr, block: Expr, size: int) -> None:
        work = self._work
        first = T.Bind(block * self._blocks.width)
        image = T.Bind(row // work.input[0])
        with T.serial(0, work.input[1]) as x:
            place = T.Bind((row * work.input[1] + x) * work.channels + first)
            other = T.Bind(image * work.channels + first) if work.pixel else place
            if work.kind == "max":
                self._largest(place, other, size)
            else:
                self._product(place, other, first, size)

    def _largest(self, place: Expr, other: Expr, size: int) -> None:
        for offset, lanes in _parts(size, self._lanes.vectors.packed):
            one = emit.load(self._buffers["input"], place + offset, lanes)
            more = emit.load(self._buffers["other"], other + offset, lanes)
            emit.store(self._buffers["output"], place + offset, tirx.Max(one, more), lanes)

    def _product(self, place: Expr, other: Expr, first: Expr, size: int) -> None:
        finish = Finish((), self._buffers, first, self._lanes)
        word = tirx.reinterpret(f"{self._lanes.kind}x{QUAD}", finish.setting(OUTSIDE))
        zero = T.Bind(tirx.Cast("int32", shuffled([T.Bind(word)], [0])))
        sums = IntegerSums(1, size, self._lanes)
        register = 0
        for together in sums.together:
            at, width = sums.offsets[register], sum(together)
            one = emit.load(self._buffers["input"], place + at, width)
            more = emit.load(self._buffers["other"], other + at, width)
            wide = self._lanes.widened(T.Bind(one), together, zero)
            factors = self._lanes.widened(T.Bind(more), together, finish.setting(ADDED_ZERO))
            for left, right in zip(wide, factors, strict=True):
                sums.update(0, register, lambda _, product=left * right: product)  # type: ignore[misc]
                register += 1
        sums.finish(finish, lambda _: place)


def _parts(size: int, lanes: int) -> list[tuple[int, int]]:
    """Return where registers of bytes begin, and what they hold."""
    sizes = emit.register_lanes(size, lanes)
    return [(sum(sizes[:i]), held) for i, held in enumerate(sizes)]
