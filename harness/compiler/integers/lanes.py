"""Vectors of bytes, their products and their order, in x86-64's instructions.

Four full registers of sums are in the order that unpacking bytes within 128 bits leaves and
packing them undoes: with 16 lanes, dword 4 L + i of register j is channel 16 L + 4 j + i. All
other registers have their channels as they come.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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

_DOT = "llvm.x86.avx512.vpdpbusd."
_PAIRS = {4: "sse2.pmadd.wd", 8: "avx2.pmadd.wd", 16: "avx512.pmaddw.d.512"}
_WORDS = {8: "avx2.packssdw", 16: "avx512.packssdw.512"}
_BYTES = {8: "avx2.packuswb", 16: "avx512.packuswb.512"}


def registers(vectors: ByteVectors, width: int, packed: bool = True) -> list[tuple[int, ...]]:
    """Return lanes of the registers that hold `width` channels, those packed together in one.

    Example:
        registers(ByteVectors(16, 32, True), 72) == [(16, 16, 16, 16), (8,)]
    """
    whole = width // vectors.packed if packed else 0
    rest = register_lanes(width - whole * vectors.packed, vectors.lanes)
    return [(vectors.lanes,) * 4] * whole + [(lanes,) for lanes in rest]


def order(vectors: ByteVectors, width: int, packed: bool = True) -> list[int]:
    """Return the channel at each place of a row of registers."""
    places: list[int] = []
    for together in registers(vectors, width, packed):
        first = len(places)
        if len(together) == 1:
            places += range(first, first + together[0])
        else:
            places += [
                first + _PART * part + QUAD * register + i
                for register in range(4)
                for part in range(vectors.packed // _PART)
                for i in range(QUAD)
            ]
    return places


def unsigned(vectors: ByteVectors, bytes_: Expr, lanes: int) -> list[Expr]:
    """Return unsigned bytes, four for each of `lanes` sums, as `dot` wants them.

    That is as they are; or, where pairs of words are multiplied, even and odd ones as words.
    """
    if vectors.dot:
        return [bytes_]
    words = tirx.reinterpret(f"uint16x{2 * lanes}", bytes_)
    even = tirx.bitwise_and(words, splat(tirx.IntImm("uint16", 255), 2 * lanes))
    odd = tirx.shift_right(words, splat(tirx.IntImm("uint16", 8), 2 * lanes))
    return [T.Bind(tirx.reinterpret(f"int16x{2 * lanes}", one)) for one in (even, odd)]


def weights_type(vectors: ByteVectors) -> str:
    """Return the type in which weights are kept."""
    return "int8" if vectors.dot else "int16"


def weights_kept(
    vectors: ByteVectors, weights: NDArray[np.int8], packed: bool = True
) -> NDArray[np.integer[Any]]:
    """Return weights `(..., W, 4)` of rows of W channels, flat, as `weights_of` reads them."""
    if vectors.dot:
        return weights.ravel()
    words, first = [], 0
    for together in registers(vectors, weights.shape[-2], packed):
        for lanes in together:
            own = weights[..., first : first + lanes, :].astype(np.int16)
            words += [own[..., half::2].reshape(*own.shape[:-2], -1) for half in (0, 1)]
            first += lanes
    return np.concatenate(words, axis=-1).ravel()


def weights_of(vectors: ByteVectors, buffer: Buffer, place: Expr, lanes: int) -> list[Expr]:
    """Return weights, four for each of `lanes` sums, as `dot` wants them."""
    if vectors.dot:
        return [T.Bind(load(buffer, place, QUAD * lanes))]
    return [T.Bind(load(buffer, place + half * 2 * lanes, 2 * lanes)) for half in (0, 1)]


def dot(total: Expr, given: Sequence[Expr], weights: Sequence[Expr], lanes: int) -> Expr:
    """Return sums with the products of four unsigned and four signed bytes added to each."""
    kind = f"int32x{lanes}"
    if len(given) == 1:
        name = f"{_DOT}{32 * lanes}"
        return tirx.call_llvm_pure_intrin(kind, name, total, given[0], weights[0])
    for one, weight in zip(given, weights, strict=True):
        name = f"llvm.x86.{_PAIRS[lanes]}"
        total = total + tirx.call_llvm_pure_intrin(kind, name, one, weight)
    return total


def in_all(word: Expr, lanes: int) -> Expr:
    """Return four bytes, given as an int32, for each of `lanes` sums."""
    return tirx.reinterpret(f"uint8x{QUAD * lanes}", splat(word, lanes))


def integers(value: int, lanes: int) -> Expr:
    """Return an int32 in every lane."""
    return splat(tirx.IntImm("int32", value), lanes)


def pairs(vectors: ByteVectors, first: Expr, second: Expr) -> list[Expr]:
    """Return two vectors of bytes, byte by byte of each in turn: low and high halves."""
    return [_unpacked(vectors, first, second, 1, half) for half in (0, 1)]


def quads(vectors: ByteVectors, first: Sequence[Expr], second: Sequence[Expr]) -> list[Expr]:
    """Return two results of `pairs`, two bytes of each in turn, in the order of packed sums."""
    return [_unpacked(vectors, first[i], second[i], 2, half) for i in (0, 1) for half in (0, 1)]


def _unpacked(vectors: ByteVectors, first: Expr, second: Expr, size: int, half: int) -> Expr:
    """Units of `size` bytes of both in turn, from the low or high half of each part."""
    places = []
    for part in range(0, vectors.packed, _PART):
        start = part + half * _PART // 2
        for unit in range(start, start + _PART // 2, size):
            for vector in (0, vectors.packed):
                places += [vector + unit + byte for byte in range(size)]
    return _shuffled([first, second], places)


def interleaved(given: Sequence[Expr], lanes: int) -> Expr:
    """Return four vectors of `lanes` bytes, byte by byte of each in turn, as they come."""
    return _shuffled(given, [lanes * j + i for i in range(lanes) for j in range(QUAD)])


def packed(sums: Sequence[Expr], lanes: int) -> Expr:
    """Return four registers of int32 as bytes, cut to 0 and 255."""
    words, bytes_ = f"int16x{2 * lanes}", f"uint8x{4 * lanes}"
    halves = [
        tirx.call_llvm_pure_intrin(words, f"llvm.x86.{_WORDS[lanes]}", *sums[i : i + 2])
        for i in (0, 2)
    ]
    return tirx.call_llvm_pure_intrin(bytes_, f"llvm.x86.{_BYTES[lanes]}", *halves)


def _shuffled(given: Sequence[Expr], places: Sequence[int]) -> Expr:
    return tirx.Shuffle(list(given), [tirx.IntImm("int32", place) for place in places])
