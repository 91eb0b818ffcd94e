"""Defines what the simulation knows of an instruction: registers, unit, size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

# Registers by number: 0 to 30 of integers, 32 to 63 of vectors, then the condition flags.
# Number 31 is zero or the stack's pointer, neither of which is waited for.
VECTOR = 32
FLAGS = 64
NOTHING = 31


class Kind(StrEnum):
    """Kinds of work, as a core's units tell them apart."""

    FMA = "fma"
    VECTOR = "vector"
    INSERT = "insert"
    DIVIDE = "divide"
    VECTOR_LOAD = "vector load"
    VECTOR_STORE = "vector store"
    LOAD = "load"
    STORE = "store"
    PREFETCH = "prefetch"
    INTEGER = "integer"
    MULTIPLY = "multiply"
    BRANCH = "branch"
    NOP = "nop"


@dataclass(frozen=True, slots=True)
class Operation:
    """It is one instruction.

    Attributes:
        kind: which unit it needs.
        reads: registers that it waits for, but for the accumulator.
        writes: registers that its result goes to, but for `base`.
        accumulator: a multiply-add's addend, which it needs later than the factors.
        base: the register of an address that it moves on; that needs no data.
        size: bytes of a vector operation, or of one transfer of a load or store.
        transfers: of a load or store: one for each register of vectors.
    """

    kind: Kind
    reads: tuple[int, ...] = ()
    writes: tuple[int, ...] = ()
    accumulator: int | None = None
    base: int | None = None
    size: int = 8
    transfers: int = 1


def integers(*numbers: int) -> tuple[int, ...]:
    """Return registers of integers without number 31."""
    return tuple(number for number in numbers if number != NOTHING)


def matches(word: int, mask: int, bits: int) -> bool:
    """Say whether the bits of an instruction that a mask chooses are these."""
    return word & mask == bits


# Of encodings: the bits that tell them apart, what these are, and who reads the rest.
Readers = Sequence[tuple[int, int, Callable[[int], Operation]]]


def read(word: int, readers: Readers, otherwise: Callable[[int], Operation]) -> Operation:
    """Return what the first of several readers makes of an instruction that has its bits."""
    for mask, bits, reader in readers:
        if matches(word, mask, bits):
            return reader(word)
    return otherwise(word)


def field(word: int, low: int, width: int) -> int:
    """Return bits of an instruction as a number."""
    return word >> low & (1 << width) - 1
