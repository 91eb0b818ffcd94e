"""Vectors of bytes in x86-64's instructions.

Bytes of a map are unsigned. Products are of four bytes with VNNI; else of two words, since those
of bytes saturate.
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
_PAIRS = {4: "sse2.pmadd.wd", 8: "avx2.pmadd.wd", 16: "avx512.pmaddw.d.512"}
_WORDS = {8: "avx2.packssdw", 16: "avx512.packssdw.512"}
_BYTES = {8: "avx2.packuswb", 16: "avx512.packuswb.512"}


class X86Lanes(Lanes):
    """It is AVX2 or AVX-512, with VNNI or without it."""

    kind: ClassVar[str] = "uint8"
    origin: ClassVar[int] = 0

    def weights_type(self) -> str:
        """Return bytes with VNNI, else words."""
        return "int8" if self.vectors.dot else "int16"

    def weights_kept(
        self, weights: NDArray[np.int8], packed: bool = True, columns: bool = False
    ) -> NDArray[np.integer[Any]]:
        """Return weights `(..., W, 4)` flat, or a register's even and odd ones as words."""
        if self.vectors.dot:
            return weights.ravel()
        words, first = [], 0
        for together in self.registers(weights.shape[-2], packed):
            for lanes in together:
                own = weights[..., first : first + lanes, :].astype(np.int16)
                words += [own[..., half::2].reshape(*own.shape[:-2], -1) for half in (0, 1)]
                first += lanes
        return np.concatenate(words, axis=-1).ravel()

    def weights_of(
        self, buffer: Buffer, place: Expr, together: Sequence[int], columns: bool
    ) -> list[list[Expr]]:
        """Return one vector of bytes, or two of words, for each register."""
        made, number = [], 1 if self.vectors.dot else 2
        for i, lanes in enumerate(together):
            start, size = place + QUAD * sum(together[:i]), QUAD * lanes // number
            made.append([T.Bind(load(buffer, start + j * size, size)) for j in range(number)])
        return made

    def dot(self, total: Expr, given: Factors, weights: Factors, lanes: int) -> Expr:
        """Return sums of one instruction, or of two products of words."""
        kind = f"int32x{lanes}"
        if len(given) == 1:
            name = f"{_DOT}{32 * lanes}"
            return tirx.call_llvm_pure_intrin(kind, name, total, given[0], weights[0])
        for one, weight in zip(given, weights, strict=True):
            name = f"llvm.x86.{_PAIRS[lanes]}"
            total = total + tirx.call_llvm_pure_intrin(kind, name, one, weight)
        return total

    def factors(self, bytes_: Expr, lanes: int) -> list[Expr]:
        """Return bytes as they are, or the even and the odd ones as words."""
        if self.vectors.dot:
            return [bytes_]
        words = tirx.reinterpret(f"uint16x{2 * lanes}", bytes_)
        even = tirx.bitwise_and(words, splat(tirx.IntImm("uint16", 255), 2 * lanes))
        odd = tirx.shift_right(words, splat(tirx.IntImm("uint16", 8), 2 * lanes))
        return [T.Bind(tirx.reinterpret(f"int16x{2 * lanes}", one)) for one in (even, odd)]

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
