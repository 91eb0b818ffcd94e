"""Reads what a shared library says of itself: its ELF header, symbols and attributes."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING

from facebench.architectures.errors import WrongAnswerError
from facebench.harness.compiler.targets import Target

if TYPE_CHECKING:
    from elftools.elf.elffile import ELFFile

_HOST_MACHINES = {"x86_64": "EM_X86_64", "aarch64": "EM_AARCH64", "armv7l": "EM_ARM"}

# What a process that has loaded TVM's runtime provides.
_PROVIDED_PREFIXES = ("TVMFFI", "TVMBackend", "__tvm", "__aeabi_")
_PROVIDED = {"memcpy", "memset", "memmove"}
_MATH = {"exp", "log", "pow", "tanh", "sqrt", "erf", "floor", "ceil", "fma", "round", "sin", "cos"}


def host_machine() -> str:
    """Return the ELF name of this machine's architecture."""
    return _HOST_MACHINES.get(platform.machine(), "EM_NONE")


def machine(path: Path) -> str:
    """Return the ELF name of the architecture that a library is for."""
    from elftools.elf.elffile import ELFFile  # takes a while to load

    with path.open("rb") as file:
        return str(ELFFile(file)["e_machine"])


def check(path: Path, target: Target) -> None:
    """Hold a library against its target.

    Raises:
        WrongAnswerError: it is for another machine or floating-point ABI, or
            would not load where TVM's runtime is: it needs a symbol that
            nothing there provides.
    """
    from elftools.elf.elffile import ELFFile

    with path.open("rb") as file:
        elf = ELFFile(file)
        found = str(elf["e_machine"])
        if elf["e_type"] != "ET_DYN" or found != target.elf_machine:
            raise WrongAnswerError(
                f"{path} is no shared library for {target.name}: its ELF header says {found} "
                f"where {target.elf_machine} is expected"
            )
        if target.hard_float and not _passes_floats_in_registers(elf):
            raise WrongAnswerError(
                f"{path} does not pass floating-point arguments in registers, as "
                f"{target.triple} demands"
            )
        unknown = sorted(name for name in _needed(elf) if not _provided(name))
    if unknown:
        raise WrongAnswerError(
            f"{path} would not load on {target.name}: nothing there provides {', '.join(unknown)}"
        )


def _needed(elf: ELFFile) -> list[str]:
    from elftools.elf.sections import SymbolTableSection

    table = elf.get_section_by_name(".dynsym")
    if not isinstance(table, SymbolTableSection):
        return []
    return [s.name for s in table.iter_symbols() if s["st_shndx"] == "SHN_UNDEF" and s.name]


def _provided(name: str) -> bool:
    if name in _PROVIDED or name.startswith(_PROVIDED_PREFIXES):
        return True
    return name in _MATH or name.removesuffix("f") in _MATH


def _passes_floats_in_registers(elf: ELFFile) -> bool:
    from elftools.elf.sections import ARMAttributesSection

    section = elf.get_section_by_name(".ARM.attributes")
    if not isinstance(section, ARMAttributesSection):
        return False
    return any(
        attribute.tag == "TAG_ABI_VFP_ARGS" and attribute.value == 1
        for subsection in section.iter_subsections()
        for part in subsection.iter_subsubsections()
        for attribute in part.iter_attributes()
    )
