"""Provides CPUs to compile for: one table."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from facebench.architectures.registry import Registry


@dataclass(frozen=True)
class Target:
    """It is a CPU, in LLVM's terms.

    Attributes:
        name: as on the command line and in records.
        triple: LLVM's target triple.
        cpu: LLVM's name of the core, which implies its features.
        features: features asked for beyond it.
        required: features that LLVM must report for it, or the code would not use the core.
        elf_machine: architecture in the header of a library made for it.
        hard_float: floating-point arguments in vector registers (armv7's `gnueabihf`).
        description: for people.
    """

    name: str
    triple: str
    cpu: str
    features: tuple[str, ...]
    required: tuple[str, ...]
    elf_machine: str
    hard_float: bool = False
    description: str = ""

    def options(self) -> dict[str, Any]:
        """Return TVM's description of this target."""
        options: dict[str, Any] = {"kind": "llvm", "mtriple": self.triple, "mcpu": self.cpu}
        if self.features:
            options["mattr"] = list(self.features)
        if self.hard_float:
            options["mfloat-abi"] = "hard"
        return options


TARGETS: Registry[Target] = Registry("target")


def _aarch64(name: str, required: tuple[str, ...], description: str) -> None:
    TARGETS.add(
        name,
        Target(
            name,
            triple="aarch64-linux-gnu",
            cpu=name,
            features=("+neon",),
            required=("fp-armv8", "neon", *required),
            elf_machine="EM_AARCH64",
            description=description,
        ),
    )


TARGETS.add(
    "host",
    Target(
        "host",
        triple="",
        cpu="",
        features=(),
        required=(),
        elf_machine="",
        description="the CPU of this machine, as LLVM detects it",
    ),
)
_LEVEL_3 = ("avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe")


def _x86_64(name: str, required: tuple[str, ...], description: str) -> None:
    TARGETS.add(
        name,
        Target(
            name,
            triple="x86_64-linux-gnu",
            cpu=name,
            features=(),
            required=required,
            elf_machine="EM_X86_64",
            description=description,
        ),
    )


# Of the x86-64 psABI, "Micro-Architecture Levels".
_x86_64("x86-64-v3", _LEVEL_3, "x86-64 with AVX2 and FMA: Haswell, Zen, and later")
_x86_64(
    "x86-64-v4",
    (*_LEVEL_3, "avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"),
    "x86-64 with AVX-512: Skylake-X, Zen 4, and later",
)
_aarch64("cortex-a53", ("crc",), "ARMv8-A, in order: Raspberry Pi 3, low-end phones")
_aarch64("cortex-a55", ("dotprod", "fullfp16"), "ARMv8.2-A, in order: little cores since 2018")
_aarch64("cortex-a72", ("crc",), "ARMv8-A, out of order: Raspberry Pi 4, phones of 2016")
_aarch64("cortex-a76", ("dotprod", "fullfp16"), "ARMv8.2-A: Raspberry Pi 5, phones of 2019")
_aarch64("kryo", ("crc",), "ARMv8-A, out of order: Snapdragon 820, the paper's phone")
TARGETS.add(
    "cortex-a7",
    Target(
        "cortex-a7",
        triple="armv7l-linux-gnueabihf",
        cpu="cortex-a7",
        features=("+neon", "+vfp4"),
        required=("neon", "vfp4"),
        elf_machine="EM_ARM",
        hard_float=True,
        description="ARMv7-A, 32 bits, hard float: Raspberry Pi 2",
    ),
)


def tuned_as(target: Target, features: Collection[str]) -> str:
    """Return the registered target whose tuning records hold for a target; empty where none's do.

    This machine is taken for the highest level of x86-64 that it has all of, or for the
    ARM core that LLVM says it is.

    Args:
        target: with what `host` stands for.
        features: that LLVM generates code with.
    """
    if target.name != "host":
        return target.name
    alike = [
        one.name
        for one in TARGETS
        if one.elf_machine == target.elf_machine and set(one.required) <= set(features)
    ]
    if target.elf_machine == "EM_X86_64":
        return alike[-1] if alike else ""
    return target.cpu if target.cpu in alike else ""
