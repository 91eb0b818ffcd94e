"""Vectors of bytes and their order: what the instructions of all targets have in common.

Four full registers of sums are in the order that unpacking bytes within 128 bits leaves and
packing them undoes: with 16 lanes, dword 4 L + i of register j is channel 16 L + 4 j + i; with
four lanes, as they come. All other registers have their channels as they come.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script.builder import ir as T

from facebench.harness.compiler.kernels.emit import Buffer, Expr, load, register_lanes, splat
from facebench.harness.compiler.vectors import ByteVectors

# Channels of one product.
QUAD = 4

# Bytes within which instructions unpack and pack.
_PART = 16

# Of four bytes for each sum of a register: one of the factors, as `Lanes.dot` takes them.
Factors = Sequence[Expr]


@dataclass(frozen=True)
class Lanes(ABC):
    """It is a target's instructions on vectors of bytes.

    Attributes:
        vectors: the target's registers.
        kind: the type of a map's bytes in memory.
        origin: the number that a byte of zero stands for.
    """

    vectors: ByteVectors
    kind: ClassVar[str]
    origin: ClassVar[int]

    # Fours whose products `dot` takes at once where there are so many, each with its factors.
    fours_at_once: ClassVar[int] = 1

    @abstractmethod
    def weights_type(self) -> str:
        """Return the type in which weights are kept."""

    @abstractmethod
    def weights_kept(
        self, weights: NDArray[np.int8], packed: bool = True, columns: bool = False
    ) -> NDArray[np.integer[Any]]:
        """Return weights `(..., W, 4)` of rows of W channels, flat, as `weights_of` reads them.

        Args:
            weights: of four channels, or of four columns.
            packed: registers are as `registers` says.
            columns: they are for `columns` and `outside`; else for `fours`.
        """

    def kept_for(self, weights: int) -> int:
        """Return the elements in which so many weights are kept."""
        return weights

    def missing(self, weights: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """Return what sums of weights (F, C, KH, KW) times bytes are less by in `dot`, (F,)."""
        return np.zeros(len(weights), np.int64)

    @abstractmethod
    def weights_of(
        self, buffer: Buffer, place: Expr, together: Sequence[int], columns: bool
    ) -> list[list[Expr]]:
        """Return weights of registers that are stored together, as `dot` wants them."""

    @abstractmethod
    def dot(self, total: Expr, given: Factors, weights: Factors, lanes: int) -> Expr:
        """Return sums with the products of four bytes and four weights added to each.

        Factors may be those of `fours_at_once` fours, one after the other.
        """

    @abstractmethod
    def factors(self, bytes_: Expr, lanes: int) -> list[Expr]:
        """Return bytes of a map, four for each of `lanes` sums, as `dot` wants them."""

    @abstractmethod
    def fours(
        self, buffer: Buffer, place: Expr, count: int, sizes: Collection[int]
    ) -> Callable[[int], dict[int, list[Expr]]]:
        """Return what gives the first to the last of `count` fours of a pixel's channels.

        Each is in all sums of a register, as `dot` wants them, by the register's lanes.
        """

    @abstractmethod
    def narrowed(self, numbers: Sequence[Expr], lanes: int) -> Expr:
        """Return registers of int32 that are stored together as a map's bytes.

        What is beyond the range of bytes becomes its end.
        """

    def bytes_of(self, floats: Sequence[Expr], lanes: int, less: Expr | None) -> Expr:
        """Return integers in the last bits of floats as a map's bytes; see `narrowed`.

        Args:
            floats: of `sums.rounded`.
            lanes: of each register.
            less: what is subtracted from their bits, an int32; None where the last 16 of them
                are the integer.
        """
        numbers = [tirx.reinterpret(f"int32x{lanes}", one) for one in floats]
        return self.narrowed([one - splat(less, lanes) for one in numbers], lanes)

    @abstractmethod
    def widened(self, bytes_: Expr, together: Sequence[int], zero: Expr) -> list[Expr]:
        """Return bytes of a map less their zero, an int32, as int32 in the order of sums."""

    def registers(self, width: int, packed: bool = True) -> list[tuple[int, ...]]:
        """Return lanes of the registers that hold `width` channels, those packed together in one.

        Example:
            with AVX-512, registers(72) == [(16, 16, 16, 16), (8,)]
        """
        vectors = self.vectors
        whole = width // vectors.packed if packed else 0
        rest = register_lanes(width - whole * vectors.packed, vectors.lanes)
        return [(vectors.lanes,) * 4] * whole + [(lanes,) for lanes in rest]

    def order(self, width: int, packed: bool = True) -> list[int]:
        """Return the channel at each place of a row of registers."""
        places: list[int] = []
        for together in self.registers(width, packed):
            first = len(places)
            if len(together) == 1:
                places += range(first, first + together[0])
            else:
                places += [
                    first + _PART * part + QUAD * register + i
                    for register in range(4)
                    for part in range(self.vectors.packed // _PART)
                    for i in range(QUAD)
                ]
        return places

    def outside(self, word: Expr, together: Sequence[int]) -> list[list[Expr]]:
        """Return four equal columns, given as an int32, for registers that are stored together."""
        return [self.everywhere(word, lanes) for lanes in together]

    def everywhere(self, word: Expr, lanes: int) -> list[Expr]:
        """Return four bytes, given as an int32, for each of `lanes` sums, as `dot` wants them."""
        return self.factors(self.in_all(word, lanes), lanes)

    def in_all(self, word: Expr, lanes: int) -> Expr:
        """Return four bytes, given as an int32, for each of `lanes` sums."""
        return tirx.reinterpret(f"{self.kind}x{QUAD * lanes}", splat(word, lanes))

    def pairs(self, first: Expr, second: Expr, width: int) -> list[Expr]:
        """Return two vectors of bytes, byte by byte of each in turn: low and high halves."""
        if width < _PART:
            return [shuffled([first, second], [i + j for i in range(width) for j in (0, width)])]
        return [self._unpacked(first, second, 1, half) for half in (0, 1)]

    def quads(self, first: Sequence[Expr], second: Sequence[Expr]) -> list[Expr]:
        """Return two results of `pairs`, two bytes of each in turn, in the order of packed sums."""
        both = zip(first, second, strict=True)
        return [self._unpacked(*one, 2, half) for one in both for half in (0, 1)]

    def columns(self, first: Sequence[Expr], second: Sequence[Expr]) -> list[list[Expr]]:
        """Return four columns, the results of `pairs`, for registers as `dot` wants them."""
        quads = [T.Bind(one) for one in self.quads(first, second)]
        return [self.factors(one, self.vectors.lanes) for one in quads]

    def column(self, given: Sequence[Expr], lanes: int) -> list[Expr]:
        """Return four columns of `lanes` bytes for one register as `dot` wants them."""
        places = [lanes * j + i for i in range(lanes) for j in range(QUAD)]
        return self.factors(T.Bind(shuffled(given, places)), lanes)

    def _unpacked(self, first: Expr, second: Expr, size: int, half: int) -> Expr:
        """Units of `size` bytes of both in turn, from the low or high half of each part."""
        places = []
        for part in range(0, self.vectors.packed, _PART):
            start = part + half * _PART // 2
            for unit in range(start, start + _PART // 2, size):
                for vector in (0, self.vectors.packed):
                    places += [vector + unit + byte for byte in range(size)]
        return shuffled([first, second], places)


def integers(value: int, lanes: int) -> Expr:
    """Return an int32 in every lane."""
    return splat(tirx.IntImm("int32", value), lanes)


def shuffled(given: Sequence[Expr], places: Sequence[int]) -> Expr:
    """Return elements of vectors, of which one follows the other."""
    return tirx.Shuffle(list(given), [tirx.IntImm("int32", place) for place in places])


def word_at(buffer: Buffer, place: Expr) -> Expr:
    """Return four bytes as an int32."""
    return T.Bind(tirx.reinterpret("int32", load(buffer, place, QUAD)))
