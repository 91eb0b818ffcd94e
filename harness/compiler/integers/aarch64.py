"""Vectors of bytes in the instructions of 64-bit ARM.

Their products are of signed bytes with signed ones, so bytes of a map are less by 128 than the
numbers of docs/int8.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script.builder import ir as T

from facebench.harness.compiler.integers.lanes import QUAD, Factors, Lanes, shuffled
from facebench.harness.compiler.kernels.emit import Buffer, Expr, load, splat

_NEON = "llvm.aarch64.neon."


class ArmLanes(Lanes):
    """It is NEON with dot products of four bytes (ARMv8.2)."""

    kind: ClassVar[str] = "int8"
    origin: ClassVar[int] = 128

    def weights_type(self) -> str:
        """Return bytes."""
        return "int8"

    def weights_kept(
        self, weights: NDArray[np.int8], packed: bool = True
    ) -> NDArray[np.integer[Any]]:
        """Return weights `(..., W, 4)` flat, as they come."""
        return weights.ravel()

    def weights_of(self, buffer: Buffer, place: Expr, lanes: int) -> list[Expr]:
        """Return one vector of weights."""
        return [T.Bind(load(buffer, place, QUAD * lanes))]

    def dot(self, total: Expr, given: Factors, weights: Factors, lanes: int) -> Expr:
        """Return sums of one instruction; a factor that is in all sums is taken from its lane."""
        name = f"{_NEON}sdot.v{lanes}i32.v{QUAD * lanes}i8"
        return tirx.call_llvm_pure_intrin(f"int32x{lanes}", name, total, weights[0], given[0])

    def factors(self, bytes_: Expr, lanes: int) -> list[Expr]:
        """Return the bytes as they come."""
        return [bytes_]

    def fours(
        self, buffer: Buffer, place: Expr, count: int, sizes: Collection[int]
    ) -> Callable[[int], dict[int, list[Expr]]]:
        """Return what takes one of the fours, which are loaded together."""
        # All are loaded at once: an instruction takes one of them as its factor.
        bytes_ = load(buffer, place, QUAD * count)
        kind = f"int32x{count}" if count > 1 else "int32"
        words = T.Bind(tirx.reinterpret(kind, bytes_))

        def four(number: int) -> dict[int, list[Expr]]:
            word = words if count == 1 else shuffled([words], [number])
            return {lanes: self.everywhere(word, lanes) for lanes in sizes}

        return four

    def narrowed(self, numbers: Sequence[Expr], lanes: int) -> Expr:
        """Return words, and of them bytes; both saturate."""
        words = [
            tirx.call_llvm_pure_intrin(f"int16x{lanes}", f"{_NEON}sqxtn.v{lanes}i16", one)
            for one in numbers
        ]
        if len(words) == 1:
            made = _saturated(_joined(words * 2, lanes))
            return shuffled([T.Bind(made)], range(lanes))
        return _joined([_saturated(_joined(words[i : i + 2], lanes)) for i in (0, 2)], 2 * lanes)

    def bytes_of(self, floats: Sequence[Expr], lanes: int, less: Expr, short: bool) -> Expr:
        """Return bytes of the lower 16 bits, where these are the whole integers."""
        if not short or len(floats) == 1:
            return super().bytes_of(floats, lanes, less, short)
        words = [tirx.reinterpret(f"int16x{2 * lanes}", one) for one in floats]
        pairs = [shuffled(words[i : i + 2], range(0, 4 * lanes, 2)) for i in (0, 2)]
        kind, more = f"int16x{2 * lanes}", splat(tirx.Cast("int16", less), 2 * lanes)
        moved = [
            tirx.call_llvm_pure_intrin(kind, f"llvm.ssub.sat.v{2 * lanes}i16", one, more)
            for one in pairs
        ]
        return _joined([_saturated(one) for one in moved], 2 * lanes)

    def widened(self, bytes_: Expr, together: Sequence[int], zero: Expr) -> list[Expr]:
        """Return bytes less their zero as words, and these as int32."""
        width = sum(together)
        words = tirx.Cast(f"int16x{width}", bytes_) - splat(tirx.Cast("int16", zero), width)
        wide = T.Bind(tirx.Cast(f"int32x{width}", words))
        if len(together) == 1:
            return [wide]
        lanes = self.vectors.lanes
        return [shuffled([wide], range(i, i + lanes)) for i in range(0, width, lanes)]


def _saturated(words: Expr) -> Expr:
    """Return eight words as bytes."""
    return tirx.call_llvm_pure_intrin("int8x8", f"{_NEON}sqxtn.v8i8", words)


def _joined(vectors: Sequence[Expr], lanes: int) -> Expr:
    """Return two vectors one after the other."""
    return shuffled(vectors, range(2 * lanes))
