"""The vector registers that a target's code is blocked for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

# Features of CPUs, as LLVM names them, of which there are kernels of integers: x86-64, 64-bit ARM
# and 32-bit ARM.
BYTE_FEATURES = (("avx2", "fma"), ("fp-armv8", "neon"), ("vfp4", "neon"))

# NEON's registers where it is 32-bit ARM's.
ARM_32_REGISTERS = 16

# LLVM's names of cores that compute 512 bits in two halves: a multiply-add takes as long as two
# loads there, elsewhere as long as one.
_HALVED = frozenset({"znver4"})

# The feature without which there are no kernels in half precision.
HALF_FEATURE = "fullfp16"


@dataclass(frozen=True)
class ByteVectors:
    """A core's registers for kernels of integers.

    Attributes:
        lanes: int32 sums of a register.
        registers: how many there are.
        dot: products of four bytes are added to a sum in one instruction; else those of two
            words are.
        arm: they are NEON's.
    """

    lanes: int
    registers: int
    dot: bool
    arm: bool = False

    @property
    def precision(self) -> str:
        """Return the precision of its kernels."""
        return "int8"

    @property
    def packed(self) -> int:
        """Return the bytes that four registers of sums become."""
        return 4 * self.lanes


def in_words(features: Collection[Collection[str]]) -> str:
    """Return features of which a CPU must have all of one collection.

    Example:
        in_words(BYTE_FEATURES) == "avx2 and fma, or fp-armv8 and neon, or vfp4 and neon"
    """
    return ", or ".join(" and ".join(one) for one in features)


def byte_vectors(features: Collection[str]) -> ByteVectors:
    """Return the registers of a target that has one of `BYTE_FEATURES`, by all its features."""
    if "fp-armv8" in features:
        return ByteVectors(lanes=4, registers=32, dot="dotprod" in features, arm=True)
    if "neon" in features:
        return ByteVectors(lanes=4, registers=ARM_32_REGISTERS, dot=False, arm=True)
    if {"avx512bw", "avx512vl"} <= set(features):
        return ByteVectors(lanes=16, registers=32, dot="avx512vnni" in features)
    return ByteVectors(lanes=8, registers=16, dot="avxvnni" in features)


@dataclass(frozen=True)
class Vectors:
    """A core's registers, as its instruction set gives them.

    Attributes:
        lanes: elements of a register.
        registers: how many there are.
        by_lane: a multiply-add takes one lane of a register as its factor, so that
            all its factors are loaded at once; else each is broadcast from memory.
        named: multiply-adds are asked for by name: LLVM makes none of a product and a sum
            for 32-bit ARM, where it takes them for slow.
        element: type of the elements, float32 or float16.
        in_single: half precision is computed in instructions of single precision, with the same
            bits.
        directed: that is done with multiply-adds that are told how to round (AVX-512).
        widened: sums of half precision are in single precision, and rounded where they are written.
        halved: a register is computed in two halves, so that loads are cheap beside multiply-adds.
    """

    lanes: int
    registers: int
    by_lane: bool
    named: bool = False
    element: str = "float32"
    in_single: bool = False
    directed: bool = False
    widened: bool = False
    halved: bool = False

    @property
    def precision(self) -> str:
        """Return the precision of its kernels."""
        return "fp16" if self.element == "float16" else "fp32"

    @property
    def computed(self) -> str:
        """Return the type in which registers hold elements."""
        return "float32" if self.in_single or self.widened else self.element

    @property
    def rounded_to(self) -> str:
        """Return the type whose precision sums have."""
        return "float32" if self.widened else self.element

    @property
    def element_bytes(self) -> int:
        """Return the bytes of an element."""
        return 2 if self.element == "float16" else 4


Registers = Vectors | ByteVectors


def vectors(triple: str, features: Collection[str], cpu: str = "") -> Vectors:
    """Return the registers of a target.

    Args:
        triple: LLVM's target triple.
        features: CPU features that LLVM generates code with.
        cpu: LLVM's name of the core.
    """
    if triple.startswith("aarch64"):
        return Vectors(lanes=4, registers=32, by_lane=True)
    if "avx512f" in features:
        return Vectors(lanes=16, registers=32, by_lane=False, halved=cpu in _HALVED)
    if "avx" in features:
        return Vectors(lanes=8, registers=16, by_lane=False)
    return Vectors(lanes=4, registers=16, by_lane=False, named="vfp4" in features)


def half_vectors(triple: str, features: Collection[str], cpu: str = "") -> Vectors:
    """Return the registers of a target for half precision; see `vectors`."""
    if HALF_FEATURE in features:
        return Vectors(lanes=8, registers=32, by_lane=True, element="float16")
    directed = "avx512f" in features
    registers = vectors(triple, features, cpu)
    return replace(registers, element="float16", in_single=True, directed=directed)
