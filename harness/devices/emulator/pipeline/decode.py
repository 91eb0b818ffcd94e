"""Decodes A64 by its bits (Arm Architecture Reference Manual, C4.1): what an instruction reads and
writes, and which unit it needs.
"""

from __future__ import annotations

from functools import lru_cache

from facebench.harness.devices.emulator.pipeline.memory_operations import load_or_store
from facebench.harness.devices.emulator.pipeline.operations import (
    FLAGS,
    Kind,
    Operation,
    field,
    integers,
    matches,
)
from facebench.harness.devices.emulator.pipeline.vector_operations import vector

# The register that a call's address of return goes to.
_LINK = 30


def decode(code: bytes) -> tuple[Operation, ...]:
    """Return the instructions of a piece of A64 code.

    Args:
        code: the instructions' bytes, little-endian.

    Example:
        >>> decode(bytes.fromhex("20cc214e"))[0].kind.value  # fmla v0.4s, v1.4s, v1.4s
        'fma'
    """
    return tuple(
        operation(int.from_bytes(code[at : at + 4], "little")) for at in range(0, len(code), 4)
    )


@lru_cache(maxsize=1 << 16)
def operation(word: int) -> Operation:
    """Return what an instruction of 32 bits is."""
    group = field(word, 25, 4)
    if group & 0b0101 == 0b0100:
        return load_or_store(word)
    if group & 0b0111 == 0b0111:
        return vector(word)
    if group & 0b1110 == 0b1010:
        return _branch_or_system(word)
    if group & 0b1110 == 0b1000:
        return _with_immediate(word)
    return _of_registers(word)


def _branch_or_system(word: int) -> Operation:
    if matches(word, 0xFFFFF01F, 0xD503201F):
        return Operation(Kind.NOP)
    if matches(word, 0xFF000000, 0x54000000):
        return Operation(Kind.BRANCH, (FLAGS,))
    if matches(word, 0x7C000000, 0x34000000):
        return Operation(Kind.BRANCH, integers(field(word, 0, 5)))
    if matches(word, 0xFE000000, 0xD6000000):
        calls = (_LINK,) if field(word, 21, 4) == 1 else ()
        return Operation(Kind.BRANCH, integers(field(word, 5, 5)), calls)
    if matches(word, 0xFC000000, 0x94000000):
        return Operation(Kind.BRANCH, (), (_LINK,))
    if matches(word, 0xFFC00000, 0xD5000000):
        return _system(word)
    return Operation(Kind.BRANCH)


def _system(word: int) -> Operation:
    register = integers(field(word, 0, 5))
    if field(word, 20, 2) == 0:  # barriers and hints
        return Operation(Kind.INTEGER)
    if field(word, 21, 1):
        return Operation(Kind.INTEGER, (), register)
    return Operation(Kind.INTEGER, register)


def _with_immediate(word: int) -> Operation:
    target, one, two = field(word, 0, 5), field(word, 5, 5), field(word, 16, 5)
    variant = field(word, 29, 2)
    if matches(word, 0x1F000000, 0x10000000):
        return Operation(Kind.INTEGER, (), integers(target))
    if matches(word, 0x1F800000, 0x12800000):
        keeps = variant == 3
        return Operation(Kind.INTEGER, integers(target) if keeps else (), integers(target))
    if matches(word, 0x1F800000, 0x13000000):
        reads = (one, target) if variant == 1 else (one,)
        return Operation(Kind.INTEGER, integers(*reads), integers(target))
    if matches(word, 0x1F800000, 0x13800000):
        return Operation(Kind.INTEGER, integers(one, two), integers(target))
    if matches(word, 0x1F800000, 0x12000000):
        flags = (FLAGS,) if variant == 3 else ()
        return Operation(Kind.INTEGER, integers(one), integers(target) + flags)
    flags = (FLAGS,) if variant & 1 else ()
    return Operation(Kind.INTEGER, integers(one), integers(target) + flags)


def _of_registers(word: int) -> Operation:
    target, one, two = field(word, 0, 5), field(word, 5, 5), field(word, 16, 5)
    variant = field(word, 29, 2)
    if matches(word, 0x1F000000, 0x0A000000):
        flags = (FLAGS,) if variant == 3 else ()
        return Operation(Kind.INTEGER, integers(one, two), integers(target) + flags)
    if matches(word, 0x1F000000, 0x1B000000):
        addend = field(word, 10, 5)
        return Operation(Kind.MULTIPLY, integers(one, two, addend), integers(target))
    if matches(word, 0x1FE00000, 0x1A400000):
        reads = (one,) if field(word, 11, 1) else (one, two)
        return Operation(Kind.INTEGER, (*integers(*reads), FLAGS), (FLAGS,))
    if matches(word, 0x1FE00000, 0x1A800000):
        return Operation(Kind.INTEGER, (*integers(one, two), FLAGS), integers(target))
    if matches(word, 0x5FE00000, 0x5AC00000):
        return Operation(Kind.INTEGER, integers(one), integers(target))
    carried = (FLAGS,) if matches(word, 0x1FE00000, 0x1A000000) else ()
    # Of two sources there is a division; it sets no flags though its bits would say so.
    sets = variant & 1 == 1 and not matches(word, 0x1FE00000, 0x1AC00000)
    flags = (FLAGS,) if sets else ()
    return Operation(Kind.INTEGER, (*integers(one, two), *carried), integers(target) + flags)
