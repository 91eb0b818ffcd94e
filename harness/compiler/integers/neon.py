"""Vectors of bytes in the instructions of ARM's NEON, of 64 bits and of 32.

Their products are of signed bytes with signed ones, so bytes of a map are less by 128 than the
numbers of docs/int8.md. Weights are -127 to 127: two products fit 16 bits, and four of
`network.alternate` channels.
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

_NEON, _NEON_32 = "llvm.aarch64.neon.", "llvm.arm.neon."

# Bytes of a register.
_REGISTER = 16


class ArmLanes(Lanes):
    """It is NEON, but for its products."""

    kind: ClassVar[str] = "int8"
    origin: ClassVar[int] = 128

    # The instruction that halves integers and saturates them.
    saturating: ClassVar[str] = f"{_NEON}sqxtn"

    def weights_type(self) -> str:
        """Return bytes."""
        return "int8"

    def registers(self, width: int, packed: bool = True) -> list[tuple[int, ...]]:
        """Return full registers: four that are stored together, then two, then one."""
        together = (4, 2, 1) if packed else (1,)
        made: list[tuple[int, ...]] = []
        left = width // self.vectors.lanes
        for count in together:
            made += [(self.vectors.lanes,) * count] * (left // count)
            left %= count
        return made

    def order(self, width: int, packed: bool = True) -> list[int]:
        """Return channels as they come."""
        return list(range(width))

    def narrowed(self, numbers: Sequence[Expr], lanes: int) -> Expr:
        """Return words, and of them bytes; both saturate."""
        words = [
            tirx.call_llvm_pure_intrin(f"int16x{lanes}", f"{self.saturating}.v{lanes}i16", one)
            for one in numbers
        ]
        if len(words) == 1:
            made = self._saturated([_joined(words * 2, lanes)])
            return shuffled([T.Bind(made)], range(lanes))
        pairs = [words[i : i + 2] for i in range(0, len(words), 2)]
        return self._saturated([_joined(pair, lanes) for pair in pairs])

    def bytes_of(self, floats: Sequence[Expr], lanes: int, less: Expr | None) -> Expr:
        """Return bytes of the lower 16 bits, where these are the whole integers."""
        if less is not None:
            return super().bytes_of(floats, lanes, less)
        words = [tirx.reinterpret(f"int16x{2 * lanes}", one) for one in floats]
        if len(words) == 1:
            lower = shuffled(words * 2, range(0, 4 * lanes, 2))
            return shuffled([T.Bind(self._saturated([lower]))], range(lanes))
        pairs = [words[i : i + 2] for i in range(0, len(words), 2)]
        return self._saturated([shuffled(pair, range(0, 4 * lanes, 2)) for pair in pairs])

    def _saturated(self, words: Sequence[Expr]) -> Expr:
        """Return one or two vectors of eight words as bytes."""
        name = f"{self.saturating}.v8i8"
        bytes_ = [tirx.call_llvm_pure_intrin("int8x8", name, one) for one in words]
        return bytes_[0] if len(bytes_) == 1 else _joined(bytes_, 8)

    def widened(self, bytes_: Expr, together: Sequence[int], zero: Expr) -> list[Expr]:
        """Return bytes less their zero as words, and these as int32."""
        width = sum(together)
        kind, zeros = f"int16x{width}", splat(tirx.Cast(self.kind, zero), width)
        words = tirx.Cast(kind, bytes_) - tirx.Cast(kind, zeros)
        wide = T.Bind(tirx.Cast(f"int32x{width}", words))
        if len(together) == 1:
            return [wide]
        lanes = self.vectors.lanes
        return [shuffled([wide], range(i, i + lanes)) for i in range(0, width, lanes)]


class DotLanes(ArmLanes):
    """It is NEON with products of four bytes (ARMv8.2)."""

    def weights_kept(
        self, weights: NDArray[np.int8], packed: bool = True, columns: bool = False
    ) -> NDArray[np.integer[Any]]:
        """Return weights `(..., W, 4)` flat, as they come."""
        return weights.ravel()

    def weights_of(
        self, buffer: Buffer, place: Expr, together: Sequence[int], columns: bool
    ) -> list[list[Expr]]:
        """Return one vector for each register."""
        sizes = [QUAD * lanes for lanes in together]
        places = [place + sum(sizes[:i]) for i in range(len(sizes))]
        return [[T.Bind(load(buffer, *one))] for one in zip(places, sizes, strict=True)]

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
        bytes_ = load(buffer, place, QUAD * count)
        kind = f"int32x{count}" if count > 1 else "int32"
        words = T.Bind(tirx.reinterpret(kind, bytes_))

        def four(number: int) -> dict[int, list[Expr]]:
            word = words if count == 1 else shuffled([words], [number])
            return {lanes: self.everywhere(word, lanes) for lanes in sizes}

        return four


class PairLanes(ArmLanes):
    """It is NEON with products of bytes, of which two are added as words and then as pairs.

    So a register of four sums takes two bytes for each of them, and then two others: eight bytes
    and eight. Of columns, the first two of eight sums lie in one register, and the other two in
    another.
    """

    # The instruction that multiplies bytes to words.
    product: ClassVar[str] = f"{_NEON}smull"

    fours_at_once: ClassVar[int] = 2

    def weights_kept(
        self, weights: NDArray[np.int8], packed: bool = True, columns: bool = False
    ) -> NDArray[np.integer[Any]]:
        """Return weights `(..., W, 4)` flat, the first two and the others of some sums apart."""
        rows, first = [], 0
        for together in self.registers(weights.shape[-2], packed):
            for lanes in _apart(together, columns):
                own = weights[..., first : first + lanes, :]
                rows += [own[..., half : half + 2].reshape(*own.shape[:-2], -1) for half in (0, 2)]
                first += lanes
        return np.concatenate(rows, axis=-1).ravel()

    def weights_of(
        self, buffer: Buffer, place: Expr, together: Sequence[int], columns: bool
    ) -> list[list[Expr]]:
        """Return two vectors of eight bytes for each register."""
        made: list[list[Expr]] = []
        for lanes in _apart(together, columns):
            loaded = [
                T.Bind(load(buffer, place + start, _REGISTER))
                for start in range(0, QUAD * lanes, _REGISTER)
            ]
            if len(loaded) == 1:
                made.append([_half(loaded[0], half) for half in (0, 1)])
            else:
                made += [[_half(one, half) for one in loaded] for half in (0, 1)]
            place = place + QUAD * lanes
        return made

    def dot(self, total: Expr, given: Factors, weights: Factors, lanes: int) -> Expr:
        """Return sums of products that were added as words."""
        words: Expr = None
        for one, weight in zip(given, weights, strict=True):
            kind = f"int16x{2 * lanes}"
            name = f"{self.product}.v{2 * lanes}i16"
            product = tirx.call_llvm_pure_intrin(kind, name, weight, one)
            words = product if words is None else words + product
        return self._with_pairs(total, words, lanes)

    def _with_pairs(self, total: Expr, words: Expr, lanes: int) -> Expr:
        """Return sums with pairs of words added to them."""
        name = f"{_NEON}saddlp.v{lanes}i32.v{2 * lanes}i16"
        return total + tirx.call_llvm_pure_intrin(f"int32x{lanes}", name, words)

    def factors(self, bytes_: Expr, lanes: int) -> list[Expr]:
        """Return the first two of each four bytes, and the others."""
        return [
            shuffled([bytes_], [QUAD * i + half + j for i in range(lanes) for j in (0, 1)])
            for half in (0, 2)
        ]

    def fours(
        self, buffer: Buffer, place: Expr, count: int, sizes: Collection[int]
    ) -> Callable[[int], dict[int, list[Expr]]]:
        """Return what spreads one of the fours, which are loaded together."""
        bytes_ = T.Bind(load(buffer, place, QUAD * count))
        sums = self.vectors.lanes

        def four(number: int) -> dict[int, list[Expr]]:
            first = QUAD * number
            places = [first + half + i for half in (0, 2) for _ in range(sums) for i in (0, 1)]
            # TVM makes no vector longer than what it takes elements of.
            spread = T.Bind(shuffled([bytes_] * -(-len(places) // (QUAD * count)), places))
            return {sums: [_half(spread, half) for half in (0, 1)]}

        return four

    def columns(self, first: Sequence[Expr], second: Sequence[Expr]) -> list[list[Expr]]:
        """Return the same half of both pairs for each register."""
        both = list(zip(first, second, strict=True))
        return [[_half(one, half) for one in pair] for pair in both for half in (0, 1)]

    def outside(self, word: Expr, together: Sequence[int]) -> list[list[Expr]]:
        """Return equal columns, from the half of a register where their weights lie."""
        if len(together) == 1:
            return [self.everywhere(word, together[0])]
        equal = T.Bind(self.in_all(word, self.vectors.lanes))
        return [[_half(equal, i % 2)] * 2 for i in range(len(together))]


class PairLanes32(PairLanes):
    """It is NEON of 32-bit ARM, which has the same instructions but for products of four bytes."""

    saturating: ClassVar[str] = f"{_NEON_32}vqmovns"
    product: ClassVar[str] = f"{_NEON_32}vmulls"

    def _with_pairs(self, total: Expr, words: Expr, lanes: int) -> Expr:
        """Return sums with pairs of words added to them."""
        name = f"{_NEON_32}vpadals.v{lanes}i32.v{2 * lanes}i16"
        return tirx.call_llvm_pure_intrin(f"int32x{lanes}", name, total, words)


def _apart(together: Sequence[int], columns: bool) -> list[int]:
    """Return for how many sums the first two of four bytes lie together, and then the others."""
    if columns and len(together) > 1:
        return [together[i] + together[i + 1] for i in range(0, len(together), 2)]
    return list(together)


def _half(bytes_: Expr, half: int) -> Expr:
    """Return the first or the last bytes of a register."""
    size = _REGISTER // 2
    return shuffled([bytes_], range(half * size, (half + 1) * size))


def _joined(vectors: Sequence[Expr], lanes: int) -> Expr:
    """Return two vectors one after the other."""
    return shuffled(vectors, range(2 * lanes))
