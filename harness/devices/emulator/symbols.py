"""Finds the function that an address in an emulated process lies in."""

from __future__ import annotations

import bisect
import re
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

_MAPPING = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (\S+) ([0-9a-f]+) \S+ \d+\s+(/\S.*)$")

# How TVM calls the functions of a kernel: as it is called from outside, and its body.
_TVM = re.compile(r"^(?:__tvm_ffi_)?(.*?)(?:_compute_)?$")

# In .eh_frame_hdr: a table of signed 32-bit pairs, relative to the section.
_SORTED_TABLE = 0x3B


def names(maps: str) -> Callable[[int], str]:
    """Return a function from an address to a name, given the text of /proc/self/maps.

    A library that was stripped still says where its functions begin, for
    exceptions to unwind: such a function is named by its library and offset.
    """
    code: list[tuple[int, int, int, Path]] = []
    bases: dict[str, int] = {}
    for line in maps.splitlines():
        found = _MAPPING.match(line)
        if found:
            low, high, rights, offset, path = found.groups()
            if int(offset, 16) == 0:
                bases.setdefault(path, int(low, 16))
            if "x" in rights:
                start = bases.get(path, int(low, 16) - int(offset, 16))
                code.append((int(low, 16), int(high, 16), start, Path(path)))
    code.sort()
    lows = [low for low, *_ in code]

    def name(address: int) -> str:
        place = bisect.bisect_right(lows, address) - 1
        if place < 0 or address >= code[place][1]:
            return "outside any library"
        _, _, base, path = code[place]
        return _name(path, address, base)

    return name


def _name(path: Path, address: int, base: int) -> str:
    functions = _functions(path)
    # A program that is not position-independent is mapped at its own addresses.
    own = address if functions.fixed else address - base
    place = bisect.bisect_right(functions.starts, own) - 1
    if place < 0:
        return path.name
    named = functions.names.get(functions.starts[place])
    if named is None:
        return f"{path.name.split('.')[0]}+{functions.starts[place]:#x}"
    found = _TVM.match(named)
    return found.group(1) if found else named


class _Functions:
    """Where a library's functions begin, in order, and the names of those that have one."""

    def __init__(self, path: Path) -> None:
        # They take a while to load, and every timed process and `list` import this module.
        from elftools.common.exceptions import ELFError
        from elftools.elf.elffile import ELFFile

        self.fixed = False
        self.names: dict[int, str] = {}
        starts: set[int] = set()
        try:
            with path.open("rb") as file:
                elf = ELFFile(file)
                self.fixed = elf["e_type"] == "ET_EXEC"
                for section in (".symtab", ".dynsym"):
                    self._read(elf.get_section_by_name(section))
                header = elf.get_section_by_name(".eh_frame_hdr")
                if header is not None:
                    starts = _unwound(header["sh_addr"], header.data())
        except (OSError, ELFError):
            pass  # a file that is gone meanwhile; its code goes by the library's name
        self.starts = sorted(starts | self.names.keys())

    def _read(self, section: object) -> None:
        from elftools.elf.sections import SymbolTableSection

        if not isinstance(section, SymbolTableSection):
            return
        for symbol in section.iter_symbols():
            if symbol["st_info"]["type"] == "STT_FUNC" and symbol["st_value"]:
                self.names.setdefault(symbol["st_value"] & ~1, symbol.name)


_functions = cache(_Functions)


def _unwound(address: int, data: bytes) -> set[int]:
    """Return where functions begin, by the table that exceptions are unwound with."""
    if len(data) < 12 or data[3] != _SORTED_TABLE:
        return set()
    (count,) = struct.unpack_from("<I", data, 8)
    pairs = np.frombuffer(data, "<i4", min(count, (len(data) - 12) // 8) * 2, 12).reshape(-1, 2)
    return {int(start) + address for start in pairs[:, 0]}
