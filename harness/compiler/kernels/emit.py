"""Vectors, tiles of sums and their multiply-adds in TVM's tensor IR.

A sum is a buffer of one register's size that is indexed by constants alone, which
LLVM keeps in a register over all loops around it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tvm import s_tir, tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from facebench.harness.compiler.activations import ACTIVATIONS
from facebench.harness.compiler.kernels import half
from facebench.harness.compiler.vectors import Vectors
from facebench.harness.compiler.workload import Epilogue

# A buffer, and an index or a value, of TVM's IR: it comes without types.
Buffer = Any
Expr = Any


def function(name: str, body: Callable[[], None]) -> tirx.PrimFunc:
    """Return a function of TVM's tensor IR whose arguments and loops `body` emits."""
    with IRBuilder() as builder, T.prim_func(is_private=True, s_tir=True):
        T.func_name(name)
        T.func_attr({"tirx.noalias": True})
        body()
    made = builder.get()
    # TVM's analyses of a function begin at a root block.
    root = s_tir.SBlock([], [], [], "root", made.body)
    return made.with_body(s_tir.SBlockRealize([], True, root))


def arguments(shapes: Mapping[str, Sequence[int]], element: str) -> dict[str, Buffer]:
    """Declare the function's arguments, each indexed as the flat array that it is in memory."""
    given = {name: T.arg(name, T.buffer(tuple(shape), element)) for name, shape in shapes.items()}
    return {
        name: T.decl_buffer((math.prod(shapes[name]),), element, data=buffer.data)
        for name, buffer in given.items()
    }


def load(buffer: Buffer, index: Expr, lanes: int) -> Expr:
    """Return `lanes` elements from `index` on."""
    return tirx.BufferLoad(buffer, [_at(index, lanes)])


def read(vectors: Vectors, buffer: Buffer, index: Expr, lanes: int) -> Expr:
    """Return `lanes` elements of a map from `index` on, of the type that registers hold."""
    loaded = load(buffer, index, lanes)
    if vectors.computed == vectors.element:
        return loaded
    return tirx.Cast(_kind(vectors.computed, lanes), loaded)


def write(vectors: Vectors, buffer: Buffer, index: Expr, value: Expr, lanes: int) -> None:
    """Write `lanes` elements of a map from `index` on, given in the type that registers hold."""
    if vectors.computed != vectors.element:
        value = tirx.Cast(_kind(vectors.element, lanes), value)
    store(buffer, index, value, lanes)


def _kind(element: str, lanes: int) -> str:
    return f"{element}x{lanes}" if lanes > 1 else element


def product_added(vectors: Vectors, left: Expr, right: Expr, total: Expr, lanes: int) -> Expr:
    """Return a total and a product, in one instruction where the target has one."""
    if vectors.directed and lanes == half.DIRECTED_LANES:
        return half.product_added_by_directions(left, right, total)
    if vectors.in_single:
        return half.product_added(left, right, total, lanes)
    if vectors.named or vectors.widened:
        return tirx.call_llvm_pure_intrin(total.ty, "llvm.fma", left, right, total)
    return total + left * right


def rounded(vectors: Vectors, value: Expr, lanes: int) -> Expr:
    """Return what one operation gives, in the precision of sums."""
    if vectors.in_single:
        return half.rounded(value, lanes)
    return half.as_written(value) if vectors.widened else value


def store(buffer: Buffer, index: Expr, value: Expr, lanes: int) -> None:
    """Write `lanes` elements from `index` on."""
    T.buffer_store(buffer, value, [_at(index, lanes)])


def _at(index: Expr, lanes: int) -> Expr:
    return tirx.Ramp(index, 1, lanes) if lanes > 1 else index


def splat(value: Expr, lanes: int) -> Expr:
    """Return `value` in every lane."""
    return tirx.Broadcast(value, lanes) if lanes > 1 else value


def constant(value: float, lanes: int, element: str) -> Expr:
    """Return a number in every lane."""
    return splat(tirx.FloatImm(element, value), lanes)


def register_lanes(width: int, lanes: int) -> tuple[int, ...]:
    """Return lanes of the registers that hold `width` elements: full ones, then halves.

    Example:
        register_lanes(20, 8) == (8, 8, 4)
    """
    held = [lanes] * (width // lanes)
    rest = width % lanes
    while rest:
        held.append(1 << (rest.bit_length() - 1))
        rest -= held[-1]
    return tuple(held)


@dataclass(frozen=True)
class Blocks:
    """Channels in blocks of `width`; the last is narrower where they do not divide.

    Attributes:
        channels: in all.
        width: of a block.
    """

    channels: int
    width: int

    @property
    def count(self) -> int:
        """Return how many blocks there are."""
        return -(-self.channels // self.width)

    def emit(self, block: Expr, body: Callable[[int], None]) -> None:
        """Emit `body(width)` for a block whose number is known when it runs."""
        full, rest = divmod(self.channels, self.width)
        if not rest:
            body(self.width)
        elif not full:
            body(rest)
        else:
            with T.If(block < full):
                with T.Then():
                    body(self.width)
                with T.Else():
                    body(rest)


def spans(extent: int, most: int) -> Iterator[tuple[int, int, int]]:
    """Yield `extent` pixels in tiles of nearly one size: (start, tiles, pixels of each).

    Example:
        list(spans(49, 6)) == [(0, 4, 6), (24, 5, 5)]
    """
    count = -(-extent // most)
    size, larger = divmod(extent, count)
    if larger:
        yield 0, larger, size + 1
    if larger < count:
        yield larger * (size + 1), count - larger, size


def repeat(count: int, body: Callable[[Expr], None]) -> None:
    """Emit `body(i)` for i from 0 to `count`, as a loop where there are several."""
    if count == 1:
        body(0)
    elif count > 1:
        with T.serial(0, count) as i:
            body(i)


class Sums:
    """It is a tile of sums, in registers: pixels by channels.

    Attributes:
        pixels: rows of the tile.
        lanes: of the registers of a row.
    """

    def __init__(self, pixels: int, width: int, vectors: Vectors) -> None:
        self.pixels = pixels
        self._vectors = vectors
        self.lanes = register_lanes(width, vectors.lanes)
        self.offsets = [sum(self.lanes[:j]) for j in range(len(self.lanes))]
        self._sums = [
            [T.alloc_buffer((lanes,), vectors.computed, scope="global") for lanes in self.lanes]
            for _ in range(pixels)
        ]

    def vectors(self, buffer: Buffer, index: Expr) -> list[Expr]:
        """Return values for the registers of a row, from `index` on."""
        return [
            T.Bind(read(self._vectors, buffer, index + offset, lanes))
            for offset, lanes in zip(self.offsets, self.lanes, strict=True)
        ]

    def start(self, values: Sequence[Expr]) -> None:
        """Set every pixel's sums to `values`, of `vectors`."""
        for row in self._sums:
            for register, value, lanes in zip(row, values, self.lanes, strict=True):
                store(register, 0, value, lanes)

    def constants(self, value: float) -> list[Expr]:
        """Return a number for the registers of a row."""
        return [constant(value, lanes, self._vectors.computed) for lanes in self.lanes]

    def keep(self, buffer: Buffer) -> None:
        """Write the tile to a buffer of its own, pixel by pixel."""
        for index, lanes, held in self._registers():
            store(buffer, index, load(held, 0, lanes), lanes)

    def add_kept(self, buffer: Buffer) -> None:
        """Add the tile that was written to a buffer."""
        for index, lanes, held in self._registers():
            store(held, 0, load(held, 0, lanes) + load(buffer, index, lanes), lanes)

    def add_tile(self, other: Sums) -> None:
        """Add the sums of another tile that has as many."""
        for pixel, row in enumerate(other._sums):
            for register, (held, lanes) in enumerate(zip(row, self.lanes, strict=True)):
                self.add(pixel, register, load(held, 0, lanes))

    def _registers(self) -> Iterator[tuple[int, int, Buffer]]:
        """Yield each register with its place in the tile and its lanes."""
        width = sum(self.lanes)
        for pixel, row in enumerate(self._sums):
            for register, offset, lanes in zip(row, self.offsets, self.lanes, strict=True):
                yield pixel * width + offset, lanes, register

    def add_to_all(self, values: Sequence[Expr]) -> None:
        """Add `values`, of `vectors`, to every pixel's sums."""
        for pixel in range(self.pixels):
            for register, value in enumerate(values):
                self.add(pixel, register, value)

    def multiply_add(self, pixel: int, factor: Expr, weights: Sequence[Expr]) -> None:
        """Add a scalar times `weights`."""
        for j, weight in enumerate(weights):
            self.add_product(pixel, j, splat(factor, self.lanes[j]), weight)

    def add_product(self, pixel: int, register: int, left: Expr, right: Expr) -> None:
        """Add the product of two vectors to one of a pixel's registers."""
        lanes = self.lanes[register]
        self.update(
            pixel,
            register,
            lambda total: product_added(self._vectors, left, right, total, lanes),
        )

    def add(self, pixel: int, register: int, value: Expr) -> None:
        """Add a vector to one of a pixel's registers."""
        lanes = self.lanes[register]
        self.update(pixel, register, lambda total: rounded(self._vectors, total + value, lanes))

    def scale(self, pixel: int, register: int, factor: float) -> None:
        """Multiply one of a pixel's registers by a number."""
        lanes = self.lanes[register]
        factors = constant(factor, lanes, self._vectors.computed)
        self.update(pixel, register, lambda total: rounded(self._vectors, total * factors, lanes))

    def update(self, pixel: int, register: int, change: Callable[[Expr], Expr]) -> None:
        """Replace one of a pixel's registers by what `change` makes of it."""
        held, lanes = self._sums[pixel][register], self.lanes[register]
        store(held, 0, change(load(held, 0, lanes)), lanes)

    def finish(self, output: Buffer, at: Callable[[int], Expr], steps: Steps) -> None:
        """Apply the epilogue up to an activation and write pixel `i`'s channels from `at(i)` on."""
        steps, _ = steps.parted()
        for i, row in enumerate(self._sums):
            start = at(i)
            for j, lanes in enumerate(self.lanes):
                value = load(row[j], 0, lanes)
                value = steps.apply(value, start + self.offsets[j], self.offsets[j], lanes)
                write(self._vectors, output, start + self.offsets[j], value, lanes)


def activate(
    output: Buffer, at: Callable[[Expr], Expr], pixels: Expr, width: int, steps: Steps
) -> None:
    """Apply the activation, and what follows it, to pixels that have been written.

    Where a task's pixels all are: behind the sums of a tile, dozens of instructions for each of
    its registers would be much code, and the next tile's sums would wait for the last results.

    Args:
        output: of the kernel.
        at: place of a pixel's first channel.
        pixels: how many.
        width: channels of each.
        steps: of the kernel; without an activation nothing is left to do.
    """
    _, steps = steps.parted()
    if not steps.epilogue:
        return
    with T.serial(0, pixels) as i:
        start, offset = T.Bind(at(i)), 0
        for lanes in register_lanes(width, steps.vectors.lanes):
            value = read(steps.vectors, output, start + offset, lanes)
            value = steps.apply(value, start + offset, offset, lanes)
            write(steps.vectors, output, start + offset, value, lanes)
            offset += lanes


def epilogue_shapes(epilogue: Epilogue, output: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Return what an epilogue reads: slopes of the channels, and the map that is added."""
    shapes: dict[str, tuple[int, ...]] = {}
    if {"prelu", "leaky"} & set(epilogue):
        shapes["slopes"] = output[-1:]
    if "add" in epilogue:
        shapes["added"] = output
    return shapes


@dataclass(frozen=True)
class Steps:
    """It is an epilogue and what it reads.

    Attributes:
        epilogue: its steps.
        buffers: of `epilogue_shapes`, among others.
        channel: of the tile's first sum.
        vectors: the target's registers.
    """

    epilogue: Epilogue
    buffers: Mapping[str, Buffer]
    channel: Expr
    vectors: Vectors

    def parted(self) -> tuple[Steps, Steps]:
        """Return the steps before the first activation of `ACTIVATIONS`, and those from it on."""
        known = [number for number, step in enumerate(self.epilogue) if step in ACTIVATIONS]
        first = min(known, default=len(self.epilogue))
        before, after = self.epilogue[:first], self.epilogue[first:]
        return replace(self, epilogue=before), replace(self, epilogue=after)

    def apply(self, value: Expr, index: Expr, offset: int, lanes: int) -> Expr:
        """Return what becomes of a sum.

        Args:
            value: the sum.
            index: where the output goes.
            offset: the sum's channel in its tile.
            lanes: of the sum.
        """
        zero = constant(0, lanes, self.vectors.computed)
        six = constant(6, lanes, self.vectors.computed)
        for step in self.epilogue:
            value = T.Bind(value)
            if step == "add":
                value = value + read(self.vectors, self.buffers["added"], index, lanes)
                value = rounded(self.vectors, value, lanes)
            elif step == "relu":
                value = larger(self.vectors, value, zero)
            elif step == "relu6":
                value = smaller(self.vectors, larger(self.vectors, value, zero), six)
            elif step in ACTIVATIONS:
                value = ACTIVATIONS[step].of(value)
            else:
                slope = read(self.vectors, self.buffers["slopes"], self.channel + offset, lanes)
                if step == "leaky":
                    value = larger(self.vectors, value, rounded(self.vectors, value * slope, lanes))
                else:
                    # One of both is zero, so that the sum needs no rounding.
                    value = larger(self.vectors, value, zero) + rounded(
                        self.vectors, smaller(self.vectors, value, zero) * slope, lanes
                    )
        return value


def larger(vectors: Vectors, left: Expr, right: Expr) -> Expr:
    """Return the larger of two in each lane, in one instruction."""
    return _extreme("maximum", tirx.Max, vectors, left, right)


def smaller(vectors: Vectors, left: Expr, right: Expr) -> Expr:
    """Return the smaller of two in each lane, in one instruction."""
    return _extreme("minimum", tirx.Min, vectors, left, right)


def _extreme(name: str, node: Any, vectors: Vectors, left: Expr, right: Expr) -> Expr:
    # x86's instruction has the semantics of a comparison, which is TVM's node; ARM's has
    # those of IEEE 754's maximum.
    if not vectors.by_lane:
        return node(left, right)
    return tirx.call_llvm_pure_intrin(left.ty, f"llvm.{name}", left, right)
