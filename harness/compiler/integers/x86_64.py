"""Vectors of bytes in x86-64's instructions.

Bytes of a map are unsigned. Products are of four bytes with VNNI; else of two, an unsigned one with
a signed one, whose sum of 16 bits saturates where weights are the signed ones. So the unsigned ones
are their magnitudes, and the bytes of the map get the signs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script.builder import ir as T

from facebench.harness.compiler.integers.lanes import (
    QUAD,
    Factors,
    Lanes,
    integers,
    word_at,
)
from facebench.harness.compiler.kernels.emit import Buffer, Expr, load, splat

_DOT = "llvm.x86.avx512.vpdpbusd."
_PRODUCTS = {
    4: "llvm.x86.ssse3.pmadd.ub.sw.128",
    8: "llvm.x86.avx2.pmadd.ub.sw",
    16: "llvm.x86.avx512.pmaddubs.w.512",
}
_PAIRS = {
    4: "llvm.x86.sse2.pmadd.wd",
    8: "llvm.x86.avx2.pmadd.wd",
    16: "llvm.x86.avx512.pmaddw.d.512",
}
_WORDS = {8: "avx2.packssdw", 16: "avx512.packssdw.512"}
_BYTES = {8: "avx2.packuswb", 16: "avx512.packuswb.512"}


class X86Lanes(Lanes):
    """It is AVX2 or AVX-512, with VNNI or without it."""

    kind: ClassVar[str] = "uint8"
    origin: ClassVar[int] = 0

    def weights_type(self) -> str:
        """Return bytes."""
        return "int8"

    def weights_kept(
        self, weights: NDArray[np.int8], packed: bool = True, columns: bool = False
    ) -> NDArray[np.integer[Any]]:
        """Return weights `(..., W, 4)` flat; or a register's magnitudes, then its signs."""
        if self.vectors.dot:
            return weights.ravel()
        kept, first = [], 0
        # Where a weight is negative, its factor has all bits turned, and the first one else.
        signs = np.where(weights < 0, 0x7F, -0x80).astype(np.int8)
        for together in self.registers(weights.shape[-2], packed):
            for lanes in together:
                for one in (np.abs(weights), signs):
                    own = one[..., first : first + lanes, :]
                    kept.append(own.reshape(*own.shape[:-2], -1))
                first += lanes
        return np.concatenate(kept, axis=-1).ravel()

    def weights_of(
        self, buffer: Buffer, place: Expr, together: Sequence[int], columns: bool
    ) -> list[list[Expr]]:
        """Return one vector of bytes, or two, for each register."""
        made, number = [], 1 if self.vectors.dot else 2
        for i, lanes in enumerate(together):
            start, size = number * (place + QUAD * sum(together[:i])), QUAD * lanes
            made.append([T.Bind(load(buffer, start + j * size, size)) for j in range(number)])
        return made

    def kept_for(self, weights: int) -> int:
        """Return two bytes for each weight without VNNI."""
        return weights if self.vectors.dot else 2 * weights

    def missing(self, weights: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """Return what turned factors are less by: weights (F, C, KH, KW) times 128, and more.

        With its first bit turned a byte is less by 128, and with all bits turned -1 less that.
        """
        if self.vectors.dot:
            return super().missing(weights)
        wide = weights.astype(np.int64)
        less: NDArray[np.int64] = (128 * wide - np.minimum(wide, 0)).sum(axis=(1, 2, 3))
        return less

    def dot(self, total: Expr, given: Factors, weights: Factors, lanes: int) -> Expr:
        """Return sums of one instruction; or of bytes times magnitudes, added as words.

        A magnitude is at most 127 and a turned byte -128 to 127: two products fit 16 bits.
        """
        kind = f"int32x{lanes}"
        if self.vectors.dot:
            name = f"{_DOT}{32 * lanes}"
            return tirx.call_llvm_pure_intrin(kind, name, total, given[0], weights[0])
        magnitudes, signs = weights
        turned = tirx.bitwise_xor(tirx.reinterpret(f"int8x{QUAD * lanes}", given[0]), signs)
        words, ones = f"int16x{2 * lanes}", splat(tirx.IntImm("int16", 1), 2 * lanes)
        products = tirx.call_llvm_pure_intrin(words, _PRODUCTS[lanes], magnitudes, turned)
        return total + tirx.call_llvm_pure_intrin(kind, _PAIRS[lanes], products, ones)

    def factors(self, bytes_: Expr, lanes: int) -> list[Expr]:
        """Return bytes as they are."""
        return [bytes_]

    def fours(
        self, buffer: Buffer, place: Expr, count: int, sizes: Collection[int]
    ) -> Callable[[int], dict[int, list[Expr]]]:
        """Return what loads one of the fours."""

        def four(number: int) -> dict[int, list[Expr]]:
            word = word_at(buffer, place + number * QUAD)
            return {lanes: self.everywhere(word, lanes) for lanes in sizes}

        return four

    def narrowed(self, numbers: Sequence[Expr], lanes: int) -> Expr:
        """Return four registers packed within 128 bits, or one cut to its range."""
        if len(numbers) == 1:
            cut = tirx.Max(numbers[0], integers(0, lanes))
            cut = tirx.Min(cut, integers(255, lanes))
            return tirx.Cast(f"uint8x{lanes}", cut)
        words, bytes_ = f"int16x{2 * lanes}", f"uint8x{4 * lanes}"
        halves = [
            tirx.call_llvm_pure_intrin(words, f"llvm.x86.{_WORDS[lanes]}", *numbers[i : i + 2])
            for i in (0, 2)
        ]
        return tirx.call_llvm_pure_intrin(bytes_, f"llvm.x86.{_BYTES[lanes]}", *halves)

    def widened(self, bytes_: Expr, together: Sequence[int], zero: Expr) -> list[Expr]:
        """Return bytes unpacked within 128 bits, or one register of them as it comes."""
        if len(together) == 1:
            wide = [tirx.Cast(f"int32x{together[0]}", bytes_)]
        else:
            width = sum(together)
            zeros = splat(tirx.IntImm("uint8", 0), width)
            quads = self.quads(self.pairs(bytes_, zeros, width), [zeros, zeros])
            wide = [tirx.reinterpret(f"int32x{self.vectors.lanes}", one) for one in quads]
        return [one - splat(zero, lanes) for one, lanes in zip(wide, together, strict=True)]
