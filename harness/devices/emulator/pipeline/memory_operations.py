"""Reads loads and stores by their bits (Arm Architecture Reference Manual, C4.1, loads and stores).

Each function takes the 32 bits of an instruction of its group.
"""

from __future__ import annotations

from facebench.harness.devices.emulator.pipeline.operations import (
    NOTHING,
    VECTOR,
    Kind,
    Operation,
    Readers,
    field,
    integers,
    read,
)

# LD1 to LD4 and ST1 to ST4 of whole registers: how many, by `opcode`.
_STRUCTURE_REGISTERS = {0: 4, 2: 4, 4: 3, 6: 3, 7: 1, 8: 2, 10: 2}


def load_or_store(word: int) -> Operation:
    """Return a load, store or prefetch."""
    return read(word, _READERS, _single)


def _structure(word: int) -> Operation:
    """LD1 to LD4, ST1 to ST4: of whole registers, of one element each, or replicated."""
    one_element, moves = field(word, 24, 1), field(word, 23, 1)
    replicated = one_element and field(word, 14, 2) == 3
    whole = 16 if field(word, 30, 1) else 8
    if one_element:
        count = (field(word, 13, 1) << 1 | field(word, 21, 1)) + 1
        size = whole if replicated else min(8, 1 << field(word, 14, 2))
    else:
        count, size = _STRUCTURE_REGISTERS.get(field(word, 12, 4), 1), whole
    first, address, step = field(word, 0, 5), field(word, 5, 5), field(word, 16, 5)
    registers = tuple(VECTOR + (first + n) % 32 for n in range(count))
    # One element goes into a register whose others stay.
    merged = registers if one_element and not replicated else ()
    stepped = integers(step) if moves and step != NOTHING else ()
    reads = integers(address) + stepped
    return _transfer(
        word >> 22 & 1 == 1, True, reads, registers, address if moves else None, size, merged
    )


def _pair(word: int) -> Operation:
    vector, mode = field(word, 26, 1) == 1, field(word, 23, 2)
    first, second, address = field(word, 0, 5), field(word, 10, 5), field(word, 5, 5)
    base = address if mode in (1, 3) else None
    load = field(word, 22, 1) == 1
    if vector:
        registers: tuple[int, ...] = (VECTOR + first, VECTOR + second)
        return _transfer(load, True, integers(address), registers, base, 4 << field(word, 30, 2))
    registers = integers(first, second)
    size = 16 if field(word, 31, 1) else 8
    return _transfer(load, False, integers(address), registers, base, size)


def _literal(word: int) -> Operation:
    target, size = field(word, 0, 5), field(word, 30, 2)
    if field(word, 26, 1):
        return _transfer(True, True, (), (VECTOR + target,), None, 4 << size)
    if size == 3:
        return Operation(Kind.PREFETCH)
    return _transfer(True, False, (), integers(target), None, 8 if size else 4)


def _exclusive(word: int) -> Operation:
    """Loads and stores with an order, alone or in pairs, and compare-and-swap."""
    value, address, status = field(word, 0, 5), field(word, 5, 5), field(word, 16, 5)
    load, size = field(word, 22, 1) == 1, 1 << field(word, 30, 2)
    values = integers(value, field(word, 10, 5)) if field(word, 21, 1) else integers(value)
    if load:
        return Operation(Kind.LOAD, integers(address), values, size=size)
    return Operation(Kind.STORE, integers(address) + values, integers(status), size=size)


def _single(word: int) -> Operation:
    """Return a transfer of one register, a prefetch, or atomic arithmetic."""
    target, address, size = field(word, 0, 5), field(word, 5, 5), field(word, 30, 2)
    vector, opcode = field(word, 26, 1) == 1, field(word, 22, 2)
    reads, base = integers(address), None
    if not field(word, 24, 1):
        mode, other = field(word, 10, 2), field(word, 16, 5)
        if field(word, 21, 1) == 0:
            base = address if mode in (1, 3) else None
        elif mode == 2:
            reads += integers(other)
        elif mode == 0:
            values = integers(target)
            return Operation(Kind.LOAD, reads + integers(other), values, size=1 << size)
    if vector:
        bytes_ = 16 if size == 0 and opcode & 2 else 1 << size
        return _transfer(opcode & 1 == 1, True, reads, (VECTOR + target,), base, bytes_)
    if size == 3 and opcode == 2:
        return Operation(Kind.PREFETCH, reads)
    return _transfer(opcode != 0, False, reads, integers(target), base, 1 << size)


def _transfer(
    load: bool,
    vector: bool,
    reads: tuple[int, ...],
    registers: tuple[int, ...],
    base: int | None,
    size: int,
    merged: tuple[int, ...] = (),
) -> Operation:
    base = None if base == NOTHING else base
    transfers = max(1, len(registers)) if vector else 1
    if load:
        kind = Kind.VECTOR_LOAD if vector else Kind.LOAD
        return Operation(kind, reads + merged, registers, None, base, size, transfers)
    kind = Kind.VECTOR_STORE if vector else Kind.STORE
    return Operation(kind, reads + registers, (), None, base, size, transfers)


_READERS: Readers = (
    (0xBE000000, 0x0C000000, _structure),
    (0x3A000000, 0x28000000, _pair),
    (0x3B000000, 0x18000000, _literal),
    (0x3F000000, 0x08000000, _exclusive),
)
