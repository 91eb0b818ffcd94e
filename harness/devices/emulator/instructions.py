"""Provides kinds of A64 instructions, as records tell them.

Of A32 only the number of instructions is told.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

from facebench.harness.devices.emulator.pipeline.decode import decode
from facebench.harness.devices.emulator.pipeline.operations import Kind

# Kinds of work, by what units do it.
_KINDS = {
    Kind.FMA: "fma",
    Kind.VECTOR: "simd",
    Kind.INSERT: "simd",
    Kind.DIVIDE: "simd",
    Kind.VECTOR_LOAD: "load",
    Kind.LOAD: "load",
    Kind.PREFETCH: "load",
    Kind.VECTOR_STORE: "store",
    Kind.STORE: "store",
    Kind.BRANCH: "branch",
    Kind.INTEGER: "integer",
    Kind.MULTIPLY: "integer",
    Kind.NOP: "nop",
}
KINDS = tuple(dict.fromkeys(_KINDS.values()))


@lru_cache(maxsize=65536)
def _counts(code: bytes) -> Counter[str]:
    return Counter(_KINDS[operation.kind] for operation in decode(code))


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
    found = _counts(code)
    return {kind: found[kind] for kind in KINDS}
