"""Tiles of int32 sums in registers, and what becomes of them: docs/int8.md.

The nearest integer to sum times multiplier is what an addition leaves that rounds: of the
product, unrounded, and 1.5 * 2^23, whose last bit is a one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script.builder import ir as T

from facebench.harness.compiler.integers.lanes import QUAD, Lanes, integers
from facebench.harness.compiler.kernels.emit import Buffer, Expr, load, splat, store
from facebench.harness.compiler.workload import Epilogue, Window

# 1.5 * 2^23, and its bits.
_ROUNDING, ROUNDING_BITS = 12582912.0, 0x4B400000

# Places in a kernel's settings.
OUTSIDE, ZERO, LOWEST, HIGHEST, ADDED_ZERO = range(5)


def settings(source: int, result: int, limits: tuple[int, int], added: int) -> NDArray[np.int32]:
    """Return what a kernel is told, (5,): zeros of the map that it reads, gives, and adds.

    All are as bytes lie in memory, less by `Lanes.origin` than the numbers that they stand for.
    """
    outside = np.full(4, source).astype(np.uint8).view(np.int32)[0]
    return np.array([outside, ROUNDING_BITS - result, *limits, added], np.int32)


def arguments(shapes: Mapping[str, tuple[Sequence[int], str]]) -> dict[str, Buffer]:
    """Declare arguments by extents and type, each indexed as the flat array that it is."""
    given = {name: T.arg(name, T.buffer(tuple(s), kind)) for name, (s, kind) in shapes.items()}
    return {
        name: T.decl_buffer((int(np.prod(s)),), kind, data=given[name].data)
        for name, (s, kind) in shapes.items()
    }


def operands(
    epilogue: Epilogue, channels: int, output: tuple[int, ...], kind: str
) -> dict[str, tuple[tuple[int, ...], str]]:
    """Return extents and types of what finishes sums, and of the output, in a kernel's order.

    Args:
        epilogue: of the sums.
        channels: multipliers.
        output: the output's extents.
        kind: the type of maps.
    """
    row = (channels,)
    given: dict[str, tuple[tuple[int, ...], str]] = {}
    given["multipliers"] = (row, "float32")
    if {"leaky", "prelu"} & set(epilogue):
        given["negative"] = (row, "float32")
    if "add" in epilogue:
        given |= {"added": (output, kind), "added_multipliers": (row, "float32")}
    given["settings"] = ((5,), "int32")
    given["output"] = (output, "float32" if "real" in epilogue else kind)
    return given


@dataclass(frozen=True)
class Finish:
    """It makes a map's elements of sums.

    Attributes:
        epilogue: "add", then "leaky" or "prelu", then "short" where all products and their sums
            with the result's zero are of 16 bits, and no product is halfway between integers
            where that zero is odd; then "limits" or "real".
        buffers: of `operands`.
        channel: of the tile's first sum; multipliers are in the registers' order from there on.
        lanes: the target's instructions.
    """

    epilogue: Epilogue
    buffers: Mapping[str, Buffer]
    channel: Expr
    lanes: Lanes

    def setting(self, place: int) -> Expr:
        """Return one of the kernel's settings."""
        return load(self.buffers["settings"], place, 1)

    def numbers(self, name: str, offset: int, lanes: int) -> Expr:
        """Return multipliers of a register."""
        return load(self.buffers[name], self.channel + offset, lanes)

    def elements(self, totals: Sequence[Expr], offset: int, lanes: int) -> Expr:
        """Return a map's bytes of sums in registers that are stored together."""
        rounding = self._rounding()
        floats = [
            T.Bind(self._products(total, offset + number * lanes, lanes, rounding))
            for number, total in enumerate(totals)
        ]
        less = None if self._short() else self.setting(ZERO)
        made = self.lanes.bytes_of(floats, lanes, less)
        return self.limited(made, lanes * len(totals))

    def _rounding(self) -> Expr:
        """Return what is added to products: more by the result's zero where they are short.

        An even number changes nothing of how a product between two integers is rounded.
        """
        rounding = tirx.FloatImm("float32", _ROUNDING)
        if not self._short():
            return rounding
        zero = tirx.IntImm("int32", ROUNDING_BITS) - self.setting(ZERO)
        return T.Bind(rounding + tirx.Cast("float32", zero))

    def _short(self) -> bool:
        """Say whether results are the last 16 bits of floats, which only NEON takes together."""
        return "short" in self.epilogue and self.lanes.vectors.arm

    def limited(self, made: Expr, width: int) -> Expr:
        """Return bytes within a map's limits."""
        if "limits" not in self.epilogue:
            return made
        low, high = (
            splat(tirx.Cast(self.lanes.kind, self.setting(place)), width)
            for place in (LOWEST, HIGHEST)
        )
        return tirx.Min(tirx.Max(made, low), high)

    def _products(self, total: Expr, offset: int, lanes: int, rounding: Expr) -> Expr:
        """Return the products' nearest integers, as the last bits of floats."""
        real = T.Bind(tirx.Cast(f"float32x{lanes}", total))
        positive = self.numbers("multipliers", offset, lanes)
        if "leaky" in self.epilogue:
            negative = self.numbers("negative", offset, lanes)
            both = (rounded(real, one, lanes, rounding) for one in (positive, negative))
            return tirx.Max(*both)
        if "prelu" in self.epilogue:
            negative = self.numbers("negative", offset, lanes)
            zero = splat(tirx.FloatImm("float32", 0.0), lanes)
            positive = tirx.Select(real > zero, positive, negative)
        return rounded(real, positive, lanes, rounding)

    def addends(self, place: Expr, offset: int, together: Sequence[int]) -> list[Expr]:
        """Return what a map adds to the sums of registers that are stored together.

        It is more by `ROUNDING_BITS`, which their bias is less by.
        """
        given = T.Bind(load(self.buffers["added"], place, sum(together)))
        wide = self.lanes.widened(given, together, self.setting(ADDED_ZERO))
        made = []
        for number, (one, lanes) in enumerate(zip(wide, together, strict=True)):
            real = tirx.Cast(f"float32x{lanes}", one)
            start = offset + sum(together[:number])
            product = rounded(real, self.numbers("added_multipliers", start, lanes), lanes)
            made.append(tirx.reinterpret(f"int32x{lanes}", product))
        return made


def rounded(
    real: Expr,
    multipliers: Expr,
    lanes: int,
    rounding: Expr = tirx.FloatImm("float32", _ROUNDING),  # noqa: B008  # it is immutable
) -> Expr:
    """Return products' nearest integers, in the last bits of floats, which are of `rounding`."""
    added = splat(rounding, lanes)
    return tirx.call_llvm_pure_intrin(f"float32x{lanes}", "llvm.fma", real, multipliers, added)


class IntegerSums:
    """It is a tile of int32 sums, in registers: pixels by channels.

    Attributes:
        pixels: rows of the tile.
        instructions: the target's.
        together: lanes of the registers of a row, those that are stored together in one.
    """

    def __init__(self, pixels: int, width: int, instructions: Lanes, packed: bool = True) -> None:
        self.pixels = pixels
        self.instructions = instructions
        self.together = instructions.registers(width, packed)
        self.lanes = [lanes for one in self.together for lanes in one]
        self.offsets = [sum(self.lanes[:j]) for j in range(len(self.lanes))]
        self._sums = [
            [T.alloc_buffer((lanes,), "int32", scope="global") for lanes in self.lanes]
            for _ in range(pixels)
        ]

    def start(self, bias: Buffer, first: Expr) -> None:
        """Set every pixel's sums to a bias, from `first` on."""
        for j, (offset, lanes) in enumerate(zip(self.offsets, self.lanes, strict=True)):
            value = T.Bind(load(bias, first + offset, lanes))
            for row in self._sums:
                store(row[j], 0, value, lanes)

    def fill(self, value: int) -> None:
        """Set all sums to a number."""
        for row in self._sums:
            for held, lanes in zip(row, self.lanes, strict=True):
                store(held, 0, integers(value, lanes), lanes)

    def weights(self, buffer: Buffer, index: Expr, columns: bool = False) -> list[list[Expr]]:
        """Return weights for the registers of a row, as `Lanes.dot` wants them."""
        made: list[list[Expr]] = []
        for together in self.together:
            start = index + QUAD * self.offsets[len(made)]
            made += self.instructions.weights_of(buffer, start, together, columns)
        return made

    def add_dot(
        self, pixel: int, register: int, given: Sequence[Expr], weights: Sequence[Expr]
    ) -> None:
        """Add products of bytes to one of a pixel's registers."""
        held, lanes = self._sums[pixel][register], self.lanes[register]
        total = self.instructions.dot(load(held, 0, lanes), given, weights, lanes)
        store(held, 0, total, lanes)

    def update(self, pixel: int, register: int, change: Callable[[Expr], Expr]) -> None:
        """Replace one of a pixel's registers by what `change` makes of it."""
        held, lanes = self._sums[pixel][register], self.lanes[register]
        store(held, 0, change(load(held, 0, lanes)), lanes)

    def finish(self, finish: Finish, at: Callable[[int], Expr]) -> None:
        """Write pixel `i`'s channels from `at(i)` on."""
        for i, row in enumerate(self._sums):
            start, register = T.Bind(at(i)), 0
            for together in self.together:
                held = row[register : register + len(together)]
                self._write(finish, held, start, self.offsets[register], together)
                register += len(together)

    def _write(
        self,
        finish: Finish,
        held: Sequence[Buffer],
        start: Expr,
        offset: int,
        together: Sequence[int],
    ) -> None:
        totals = [load(one, 0, lanes) for one, lanes in zip(held, together, strict=True)]
        if "add" in finish.epilogue:
            added = finish.addends(start + offset, offset, together)
            totals = [total + more for total, more in zip(totals, added, strict=True)]
        output, width = finish.buffers["output"], sum(together)
        if "real" in finish.epilogue:
            (total,) = totals
            real = tirx.Cast(f"float32x{width}", total)
            made = real * finish.numbers("multipliers", offset, width)
        else:
            made = finish.elements(totals, offset, together[0])
        store(output, start + offset, made, width)


def rows_of_taps(
    window: Window, height: int, outputs: int, y: Expr, taps: Callable[[Expr, bool], None]
) -> None:
    """Emit `taps(ky, inside)` for the rows of a window, inside a map of `height` rows or not.

    Args:
        window: of the kernel.
        height: rows of the map.
        outputs: rows of the result.
        y: the result's row.
        taps: is emitted for several rows, in a loop.
    """
    kernel, dilation = window.kernel[0], window.dilation[0]
    top = T.Bind(y * window.stride[0] - window.padding[0])
    last = (outputs - 1) * window.stride[0] - window.padding[0] + (kernel - 1) * dilation

    def all_inside() -> None:
        with T.serial(0, kernel) as ky:
            taps(ky, True)

    if not window.padding[0] and last < height:
        all_inside()
        return
    # Most rows have a loop without a condition, which would tear products from their sums.
    with T.If(tirx.all(top >= 0, top + (kernel - 1) * dilation < height)):
        with T.Then():
            all_inside()
        with T.Else(), T.serial(0, kernel) as ky:
            line = T.Bind(top + ky * dilation)
            with T.If(tirx.all(line >= 0, line < height)):
                with T.Then():
                    taps(ky, True)
                with T.Else():
                    taps(ky, False)
