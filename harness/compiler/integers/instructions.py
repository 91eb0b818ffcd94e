"""Chooses the instructions of a target's vectors of bytes."""

from __future__ import annotations

from facebench.harness.compiler.integers.lanes import Lanes
from facebench.harness.compiler.integers.neon import DotLanes, PairLanes, PairLanes32
from facebench.harness.compiler.integers.x86_64 import X86Lanes
from facebench.harness.compiler.vectors import ARM_32_REGISTERS, ByteVectors


def lanes_of(vectors: ByteVectors) -> Lanes:
    """Return a target's instructions on vectors of bytes."""
    if not vectors.arm:
        return X86Lanes(vectors)
    if vectors.registers == ARM_32_REGISTERS:
        return PairLanes32(vectors)
    return DotLanes(vectors) if vectors.dot else PairLanes(vectors)
