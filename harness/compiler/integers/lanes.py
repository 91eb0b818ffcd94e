"""Vectors of bytes, their products and their order, in the instructions of AVX-512 VNNI.

Four full registers of sums are in the order that unpacking bytes within 128 bits leaves and
packing them undoes: dword 4 L + i of register j is channel 16 L + 4 j + i. All other registers
have their channels as they come.
"""

from __future__ import annotations

from collections.abc import Sequence

from tvm import tirx

from facebench.harness.compiler.kernels.emit import Expr, register_lanes, splat

# Channels of a register of sums; of the four that are packed together; and of one product.
LANES, PACKED, QUAD = 16, 64, 4

_PART = 16  # bytes within which instructions unpack and pack


def registers(width: int, packed: bool = True) -> list[tuple[int, ...]]:
    """Return lanes of the registers that hold `width` channels, those packed together in one.

    Example:
        registers(72) == [(16, 16, 16, 16), (8,)]
    """
    whole = width // PACKED if packed else 0
    rest = register_lanes(width - whole * PACKED, LANES)
    return [(LANES,) * 4] * whole + [(lanes,) for lanes in rest]


def order(width: int, packed: bool = True) -> list[int]:
    """Return the channel at each place of a row of registers."""
    places: list[int] = []
    for together in registers(width, packed):
        first = len(places)
        if len(together) == 1:
            places += range(first, first + together[0])
        else:
            places += [
                first + _PART * part + QUAD * register + i
                for register in range(4)
                for part in range(PACKED // _PART)
                for i in range(QUAD)
            ]
    return places


def dot(total: Expr, bytes_: Expr, weights: Expr, lanes: int) -> Expr:
    """Return sums with the products of four unsigned and four signed bytes added to each."""
    name = f"llvm.x86.avx512.vpdpbusd.{32 * lanes}"
    return tirx.call_llvm_pure_intrin(f"int32x{lanes}", name, total, bytes_, weights)


def in_all(word: Expr, lanes: int) -> Expr:
    """Return four bytes, given as an int32, for each of `lanes` sums."""
    return tirx.reinterpret(f"uint8x{QUAD * lanes}", splat(word, lanes))


def integers(value: int, lanes: int) -> Expr:
    """Return an int32 in every lane."""
    return splat(tirx.IntImm("int32", value), lanes)


def pairs(first: Expr, second: Expr) -> list[Expr]:
    """Return two vectors of 64 bytes, byte by byte of each in turn: low and high halves."""
    return [_unpacked(first, second, 1, half) for half in (0, 1)]


def quads(first: Sequence[Expr], second: Sequence[Expr]) -> list[Expr]:
    """Return two results of `pairs`, two bytes of each in turn, in the order of packed sums."""
    return [_unpacked(first[i], second[i], 2, half) for i in (0, 1) for half in (0, 1)]


def _unpacked(first: Expr, second: Expr, size: int, half: int) -> Expr:
    """Units of `size` bytes of both in turn, from the low or high half of each part."""
    places = []
    for part in range(0, PACKED, _PART):
        start = part + half * _PART // 2
        for unit in range(start, start + _PART // 2, size):
            for vector in (0, PACKED):
                places += [vector + unit + byte for byte in range(size)]
    return _shuffled([first, second], places)


def interleaved(vectors: Sequence[Expr], lanes: int) -> Expr:
    """Return four vectors of `lanes` bytes, byte by byte of each in turn, as they come."""
    return _shuffled(vectors, [lanes * j + i for i in range(lanes) for j in range(QUAD)])


def packed(sums: Sequence[Expr]) -> Expr:
    """Return four registers of int32 as 64 bytes, cut to 0 and 255."""
    halves = [
        tirx.call_llvm_pure_intrin("int16x32", "llvm.x86.avx512.packssdw.512", *sums[i : i + 2])
        for i in (0, 2)
    ]
    return tirx.call_llvm_pure_intrin("uint8x64", "llvm.x86.avx512.packuswb.512", *halves)


def _shuffled(vectors: Sequence[Expr], places: Sequence[int]) -> Expr:
    return tirx.Shuffle(list(vectors), [tirx.IntImm("int32", place) for place in places])
