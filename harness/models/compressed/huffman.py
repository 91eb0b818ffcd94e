"""Codes symbols by Huffman's method, in blocks that are decoded side by side.

D. A. Huffman, "A Method for the Construction of Minimum-Redundancy Codes", Proceedings of the IRE
40, 1952. Codes are canonical: the lengths alone say which they are.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facebench.architectures.errors import BadInputError

# Bits of the longest code: what a table of all windows of bits is indexed by.
LONGEST = 16

# Symbols of a block, whose first bit's place is kept.
BLOCK = 512

# Of symbols: a byte holds each.
SYMBOLS = 256


@dataclass(frozen=True)
class Coded:
    """Symbols in as few bits as a code of each takes.

    Attributes:
        lengths: bits of each symbol's code, (256,); 0 where it does not occur.
        bits: (B,) bytes, codes one after the other, the first bit highest.
        starts: first bit of each block, (ceil(count / BLOCK),).
        count: of symbols.
    """

    lengths: NDArray[np.uint8]
    bits: NDArray[np.uint8]
    starts: NDArray[np.uint32]
    count: int


def encode(symbols: NDArray[np.uint8]) -> Coded:
    """Code symbols (N,)."""
    lengths = code_lengths(np.bincount(symbols, minlength=SYMBOLS))
    codes = _codes(lengths)
    sizes = lengths[symbols].astype(np.int64)
    ends = np.cumsum(sizes)
    starts = ends - sizes
    bits = np.zeros(int(ends[-1]) if len(ends) else 0, np.uint8)
    for place in range(int(lengths.max(initial=0))):
        longer = sizes > place
        code, size = codes[symbols[longer]], sizes[longer]
        bits[starts[longer] + place] = (code >> (size - 1 - place)) & 1
    return Coded(lengths, np.packbits(bits), starts[::BLOCK].astype(np.uint32), len(symbols))


def decode(coded: Coded) -> NDArray[np.uint8]:
    """Return the symbols (N,) again.

    Raises:
        BadInputError: no code has such lengths, or the bits end before the symbols do.
    """
    if not coded.count:
        return np.zeros(0, np.uint8)
    symbol_of, length_of = _table(coded.lengths)
    blocks = -(-coded.count // BLOCK)
    if len(coded.starts) != blocks:
        raise BadInputError(f"{len(coded.starts)} blocks where {coded.count} symbols have {blocks}")
    last = coded.count - (blocks - 1) * BLOCK
    padded = np.concatenate([coded.bits, np.zeros(3, np.uint8)]).astype(np.int64)
    places, end = coded.starts.astype(np.int64), 0
    found = np.zeros((BLOCK, blocks), np.uint8)
    for step in range(BLOCK if blocks > 1 else last):
        # What a shorter last block reads beyond its end is cut off below.
        first = np.minimum(places >> 3, len(padded) - 3)
        window = padded[first] << 16 | padded[first + 1] << 8 | padded[first + 2]
        window = window >> (24 - LONGEST - (places & 7)) & (2**LONGEST - 1)
        found[step] = symbol_of[window]
        places = places + length_of[window]
        if step == last - 1:
            end = int(places[-1])
    begins = np.concatenate([[0], places[:-1]])
    if np.any(coded.starts != begins) or -(-end // 8) != len(coded.bits):
        raise BadInputError("codes do not end where the next begin")
    return found.T.ravel()[: coded.count]


def code_lengths(counts: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the bits of each symbol's code (S,), at most `LONGEST`, of how often it occurs (S,).

    Where a code were longer, counts are halved, rounded up, until none is: that costs less than a
    thousandth of the bits.
    """
    lengths = _lengths(counts)
    while lengths.max(initial=0) > LONGEST:
        counts = (counts + 1) // 2
        lengths = _lengths(counts)
    return lengths.astype(np.uint8)


def _lengths(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    lengths = np.zeros(len(counts), np.int64)
    heap = [(int(count), symbol, [symbol]) for symbol, count in enumerate(counts) if count]
    if len(heap) == 1:
        lengths[heap[0][1]] = 1
        return lengths
    heapq.heapify(heap)
    while len(heap) > 1:
        first, second = heapq.heappop(heap), heapq.heappop(heap)
        members = first[2] + second[2]
        lengths[members] += 1
        heapq.heappush(heap, (first[0] + second[0], first[1], members))
    return lengths


def _codes(lengths: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the canonical code of each symbol: shorter ones first, then by symbol."""
    codes = np.zeros(len(lengths), np.int64)
    code = previous = 0
    for symbol in sorted(np.flatnonzero(lengths), key=lambda s: (lengths[s], s)):
        code <<= int(lengths[symbol]) - previous
        codes[symbol] = code
        code, previous = code + 1, int(lengths[symbol])
    return codes


def _table(lengths: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return for each window of `LONGEST` bits the symbol that it begins with, and its bits."""
    used = np.flatnonzero(lengths)
    spans = np.where(lengths > 0, 2 ** (LONGEST - np.minimum(lengths, LONGEST).astype(int)), 0)
    whole = int(spans.sum())
    # A code that leaves bits unused is that of a single symbol alone.
    unused = whole < 2**LONGEST and len(used) > 1
    if lengths.max(initial=0) > LONGEST or whole > 2**LONGEST or not whole or unused:
        raise BadInputError("no code has such lengths")
    order = sorted(used, key=lambda s: (lengths[s], s))
    symbols = np.repeat(order, spans[order]).astype(np.uint8)
    sizes = np.repeat(lengths[order], spans[order]).astype(np.int64)
    # A single symbol takes one bit, whose other value nothing writes.
    rest = 2**LONGEST - whole
    return np.pad(symbols, (0, rest)), np.pad(sizes, (0, rest), constant_values=LONGEST)
