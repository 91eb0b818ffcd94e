"""Reads arithmetic of vectors and of floating point by its bits (Arm Architecture Reference Manual,
C4.1, data processing of scalars and vectors).

Each function takes the 32 bits of an instruction of its group.
"""

from __future__ import annotations

from facebench.harness.devices.emulator.pipeline.operations import (
    FLAGS,
    VECTOR,
    Kind,
    Operation,
    Readers,
    field,
    integers,
    matches,
    read,
)

# By element: opcodes that add to the register they write, whatever U is, and by U.
_ADDING_BY_ELEMENT = {0, 1, 2, 3, 4, 5, 6, 7, 14}
_ADDING_BY_ELEMENT_BY_U = ({15}, {8, 12, 13, 15})

# Three registers of different sizes: those that add, and those that narrow the result.
_ADDING_LONG, _NARROWING_LONG = {5, 8, 9, 10, 11}, {4, 6}

# Two registers: those that narrow the result, and those that add to it.
_NARROWING, _ADDING_PAIRS = {18, 20, 22}, {3, 6}

# Shifts: those that add or insert, and the first one and the last that narrow.
_KEEPING_SHIFTS = ({2, 6}, {2, 6, 8, 10})
_NARROWING_SHIFTS = range(16, 20)

_SQUARE_ROOT = 0b11111


def vector(word: int) -> Operation:
    """Return arithmetic on vectors, or on scalars in their registers."""
    return read(word, _READERS, _of_lanes)


def _of_lanes(word: int) -> Operation:
    scalar = matches(word, 0x50000000, 0x50000000)
    size = 16 if field(word, 30, 1) and not scalar else 8
    # A scalar is encoded as the vector is, with two bits more.
    return _advanced(word & ~0x50000000 if scalar else word, size)


def _scalar_fma(word: int) -> Operation:
    factors = VECTOR + field(word, 5, 5), VECTOR + field(word, 16, 5)
    addend = VECTOR + field(word, 10, 5)
    target = (VECTOR + field(word, 0, 5),)
    return Operation(Kind.FMA, factors, target, addend)


def _scalar_float(word: int) -> Operation:
    target, one, two = field(word, 0, 5), VECTOR + field(word, 5, 5), VECTOR + field(word, 16, 5)
    written = (VECTOR + target,)
    if matches(word, 0xFC00, 0):
        return _converted(word)
    if matches(word, 0xFC00, 0x2000):
        return Operation(Kind.VECTOR, (one,) if target & 8 else (one, two), (FLAGS,))
    if matches(word, 0x7C00, 0x4000):
        opcode = field(word, 15, 6)
        return Operation(Kind.DIVIDE if opcode == 3 else Kind.VECTOR, (one,), written)
    if matches(word, 0x1C00, 0x1000):
        return Operation(Kind.VECTOR, (), written)
    if matches(word, 0x0C00, 0x0400):
        return Operation(Kind.VECTOR, (one, two, FLAGS), (FLAGS,))
    if matches(word, 0x0C00, 0x0C00):
        return Operation(Kind.VECTOR, (one, two, FLAGS), written)
    kind = Kind.DIVIDE if field(word, 12, 4) == 1 else Kind.VECTOR
    return Operation(kind, (one, two), written)


def _converted(word: int) -> Operation:
    """Between registers of integers and of floating point, as numbers or as bits."""
    target, source, to_float = field(word, 0, 5), field(word, 5, 5), field(word, 16, 3) in (2, 3, 7)
    if to_float:
        # The upper half of a vector is written alone: the lower one stays.
        kept = (VECTOR + target,) if field(word, 19, 2) == 1 else ()
        return Operation(Kind.VECTOR, integers(source) + kept, (VECTOR + target,))
    return Operation(Kind.VECTOR, (VECTOR + source,), integers(target))


def _fixed_point(word: int) -> Operation:
    target, source = field(word, 0, 5), field(word, 5, 5)
    if field(word, 16, 3) in (2, 3):
        return Operation(Kind.VECTOR, integers(source), (VECTOR + target,))
    return Operation(Kind.VECTOR, (VECTOR + source,), integers(target))


def _advanced(word: int, size: int) -> Operation:
    if matches(word, 0x9F000400, 0x0F000000):
        return _by_element(word, size)
    if matches(word, 0x9FE08400, 0x0E000400):
        return _copy(word, size)
    if matches(word, 0x9F000400, 0x0F000400):
        return _immediate(word, size)
    if matches(word, 0x9F3E0C00, 0x0E200800) or matches(word, 0x9F7E0C00, 0x0E780800):
        return _two_registers(word, size)
    if matches(word, 0x9F3E0C00, 0x0E300800):
        return Operation(Kind.VECTOR, (_second(word),), (_first(word),), size=size)
    if matches(word, 0x9F200400, 0x0E200400):
        return _three_same(word, size)
    if matches(word, 0x9F60C400, 0x0E400400):
        return _three_same_half(word, size)
    if matches(word, 0x9F208400, 0x0E008400):
        # Dot products and their like; a rotated addition alone adds nothing up.
        return _three(word, size, adding=field(word, 11, 4) not in (0b1100, 0b1110))
    if matches(word, 0x9F200C00, 0x0E200000):
        return _three_different(word)
    if matches(word, 0xBFE08C00, 0x0E000000):
        return _table(word, size)
    return _three(word, size)


def _first(word: int) -> int:
    return VECTOR + field(word, 0, 5)


def _second(word: int) -> int:
    return VECTOR + field(word, 5, 5)


def _third(word: int) -> int:
    return VECTOR + field(word, 16, 5)


def _three(word: int, size: int, adding: bool = False, kept: bool = False) -> Operation:
    """Return one of three registers that adds to the first, or keeps a part of what it holds."""
    reads = _second(word), _third(word)
    if adding:
        written = _first(word)
        return Operation(Kind.FMA, reads, (written,), written, size=size)
    return _written(word, reads, kept, size)


def _written(word: int, reads: tuple[int, ...], kept: bool, size: int) -> Operation:
    first = _first(word)
    return Operation(Kind.VECTOR, (*reads, first) if kept else reads, (first,), size=size)


def _by_element(word: int, size: int) -> Operation:
    opcode, upper, kind = field(word, 12, 4), field(word, 29, 1), field(word, 22, 2)
    adding = opcode in _ADDING_BY_ELEMENT or opcode in _ADDING_BY_ELEMENT_BY_U[upper]
    widened = kind == 2 and (upper, opcode) in ((0, 0), (0, 4), (1, 8), (1, 12))
    # An element of 16 bits is of one of the lower sixteen registers.
    low = kind in (0, 1) or widened
    other = VECTOR + (field(word, 16, 4) if low else field(word, 16, 5))
    reads, first = (_second(word), other), _first(word)
    if adding:
        return Operation(Kind.FMA, reads, (first,), first, size=size)
    return Operation(Kind.VECTOR, reads, (first,), size=size)


def _copy(word: int, size: int) -> Operation:
    source, target, how = field(word, 5, 5), _first(word), field(word, 11, 4)
    if field(word, 29, 1):
        return Operation(Kind.VECTOR, (VECTOR + source, target), (target,), size=size)
    if how == 0:
        return Operation(Kind.VECTOR, (VECTOR + source,), (target,), size=size)
    if how == 1:
        return Operation(Kind.VECTOR, integers(source), (target,), size=size)
    if how == 3:
        return Operation(Kind.INSERT, (*integers(source), target), (target,))
    return Operation(Kind.VECTOR, (VECTOR + source,), integers(field(word, 0, 5)))


def _immediate(word: int, size: int) -> Operation:
    """Return a constant, or a shift by one."""
    if field(word, 19, 4) == 0:
        mode = field(word, 12, 4)
        bitwise = mode & 1 == 1 and mode < 0b1100
        return _written(word, (), bitwise, size)
    opcode, upper = field(word, 11, 5), field(word, 29, 1)
    kept = opcode in _KEEPING_SHIFTS[upper] or (opcode in _NARROWING_SHIFTS and size == 16)
    return _written(word, (_second(word),), kept, size)


def _two_registers(word: int, size: int) -> Operation:
    opcode, upper = field(word, 12, 5), field(word, 29, 1)
    if opcode == _SQUARE_ROOT and upper:
        return Operation(Kind.DIVIDE, (_second(word),), (_first(word),), size=size)
    whole = field(word, 17, 5) == 0b10000
    kept = whole and (opcode in _ADDING_PAIRS or (opcode in _NARROWING and size == 16))
    return _written(word, (_second(word),), kept, size)


def _three_same(word: int, size: int) -> Operation:
    opcode, upper, variant = field(word, 11, 5), field(word, 29, 1), field(word, 22, 2)
    if opcode == 0b11111 and upper:
        return Operation(Kind.DIVIDE, (_second(word), _third(word)), (_first(word),), size=size)
    if opcode == 0b00011:
        return _three(word, size, kept=bool(upper and variant))
    adding = opcode in (0b11001, 0b10010) or (opcode == 0b11101 and not upper)
    return _three(word, size, adding, kept=opcode == 0b01111)


def _three_same_half(word: int, size: int) -> Operation:
    opcode, upper = field(word, 11, 3), field(word, 29, 1)
    if opcode == 0b111 and upper:
        return Operation(Kind.DIVIDE, (_second(word), _third(word)), (_first(word),), size=size)
    return _three(word, size, adding=opcode == 0b001 and not upper)


def _three_different(word: int) -> Operation:
    opcode, upper_half = field(word, 12, 4), field(word, 30, 1)
    kept = opcode in _NARROWING_LONG and upper_half == 1
    return _three(word, 16, opcode in _ADDING_LONG, kept)


def _table(word: int, size: int) -> Operation:
    """Return a look-up in up to four registers; TBX keeps what it does not find."""
    count = field(word, 13, 2) + 1
    table = tuple(VECTOR + (field(word, 5, 5) + n) % 32 for n in range(count))
    return _written(word, (*table, _third(word)), field(word, 12, 1) == 1, size)


_READERS: Readers = (
    (0x5F000000, 0x1F000000, _scalar_fma),
    (0x5F200000, 0x1E200000, _scalar_float),
    (0x5F000000, 0x1E000000, _fixed_point),
)
