"""Provides kinds of A64 instructions, told by their bits (Arm Architecture Reference Manual, C4.1).

Of A32 only the number of instructions is told.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

# Kinds of work, as a core's execution units see them.
KINDS = ("fma", "simd", "load", "store", "branch", "integer")

_Words = NDArray[np.uint32]


@lru_cache(maxsize=65536)
def _counts(code: bytes) -> tuple[int, ...]:
    words = np.frombuffer(code, "<u4")
    fma, simd, load, store, branch = _masks(words)
    counts = [int(mask.sum()) for mask in (fma, simd, load, store, branch)]
    return (*counts, len(words) - sum(counts))


def mix(code: bytes, machine: str) -> dict[str, int]:
    """Return how many instructions of each kind, of `KINDS`, are in a piece of code.

    Args:
        code: the instructions' bytes, little-endian.
        machine: ELF name of the architecture; empty for any but EM_AARCH64.

    Example:
        >>> mix(bytes.fromhex("20cc214e"), "EM_AARCH64")["fma"]  # fmla v0.4s, v1.4s, v1.4s
        1
    """
    if machine != "EM_AARCH64":
        return {}
    return dict(zip(KINDS, _counts(code), strict=True))


@lru_cache(maxsize=65536)
def chain(code: bytes, machine: str) -> int:
    """Return the longest row of multiply-adds in a piece of code, each adding to the one before's
    sum.

    The arguments are those of `mix`; of any other machine's code it is 0.

    Example:
        >>> chain(bytes.fromhex("20cc214e20cc214e"), "EM_AARCH64")  # fmla v0.4s, twice
        2
    """
    if machine != "EM_AARCH64":
        return 0
    words = np.frombuffer(code, "<u4")
    fma, simd, load, _, _ = _masks(words)
    into_vectors = simd | (load & _match(words, 1 << 26, 1 << 26))
    scalar = _match(words, 0xFF000000, 0x1F000000)
    longest, rows = 0, [0] * 32
    for number in np.flatnonzero(fma | into_vectors):
        word = int(words[number])
        made, added = word & 31, word >> 10 & 31 if scalar[number] else word & 31
        rows[made] = rows[added] + 1 if fma[number] else 0
        longest = max(longest, rows[made])
    return longest


def _masks(words: _Words) -> tuple[NDArray[np.bool_], ...]:
    """Disjoint kinds: multiply-adds, other SIMD and floating point, loads, stores, branches."""
    memory = (words >> 25) & 0b0101 == 0b0100
    vector = (words >> 25) & 0b0111 == 0b0111
    branch = (words >> 26) & 0b111 == 0b101
    fma = (
        _match(words, 0xBFA0FC00, 0x0E20CC00)  # FMLA, vectors
        | _match(words, 0xBFA0FC00, 0x0EA0CC00)  # FMLS, vectors
        | _match(words, 0xBF80B400, 0x0F801000)  # FMLA and FMLS, by element
        | _match(words, 0xFF000000, 0x1F000000)  # FMADD and its kin, scalars
    )
    store = memory & _stores(words)
    return fma, vector & ~fma, memory & ~store, store, branch


def _stores(words: _Words) -> NDArray[np.bool_]:
    """Return, of loads and stores, the stores"""
    structures = _match(words, 0xBE000000, 0x0C000000)  # LD1 to ST4
    pairs = _match(words, 0x3A000000, 0x28000000)
    exclusive = _match(words, 0x3F000000, 0x08000000)
    literal = _match(words, 0x3B000000, 0x18000000)
    by_l_bit = structures | pairs | exclusive
    # Single registers: opc 00 stores, and with V and size 00 opc 10 stores 128 bits.
    opc = (words >> 22) & 0b11
    wide = ((words >> 26) & 1 == 1) & (words >> 30 == 0) & (opc == 0b10)
    single = ~by_l_bit & ~literal & ((opc == 0) | wide)
    stores: NDArray[np.bool_] = (by_l_bit & ((words >> 22) & 1 == 0)) | single
    return stores


def _match(words: _Words, mask: int, bits: int) -> NDArray[np.bool_]:
    matches: NDArray[np.bool_] = (words & np.uint32(mask)) == np.uint32(bits)
    return matches
