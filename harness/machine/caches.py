"""The data caches of this machine, as its kernel shows them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_CPUS = Path("/sys/devices/system/cpu")
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}


@dataclass(frozen=True)
class DataCache:
    """One cache that holds data.

    Attributes:
        level: 1 is next to the core.
        size_bytes: of the whole cache.
        cpus: that share it, as the kernel lists them.
    """

    level: int
    size_bytes: int
    cpus: str

    @property
    def sharers(self) -> int:
        """Say how many CPUs share it.

        Example:
            >>> DataCache(3, 2**25, "0-3,8").sharers
            5
        """
        ends = [part.split("-") for part in self.cpus.split(",")]
        return sum(int(end[-1]) - int(end[0]) + 1 for end in ends)


def data_caches(folder: Path = _CPUS) -> frozenset[DataCache]:
    """Return the caches of the CPUs that this process may use; none where the kernel shows none."""
    found = set()
    for cpu in os.sched_getaffinity(0):
        for index in folder.glob(f"cpu{cpu}/cache/index*"):
            try:
                if _text(index, "type") != "Instruction":
                    found.add(_read(index))
            except (OSError, ValueError):
                continue  # virtual machines leave files out, or empty
    return frozenset(found)


def last_level_bytes(caches: frozenset[DataCache]) -> int:
    """Return bytes of all caches of the outermost level together; 0 where there are none."""
    last = max((one.level for one in caches), default=0)
    return sum(one.size_bytes for one in caches if one.level == last)


def second_level_bytes(caches: frozenset[DataCache]) -> int:
    """Return a CPU's share of the smallest second level; 0 where it is not known."""
    return min((one.size_bytes // one.sharers for one in caches if one.level == 2), default=0)


def _read(index: Path) -> DataCache:
    size = _text(index, "size")
    unit = _UNITS.get(size[-1:], 1)
    bytes_ = int(size.rstrip("KMG")) * unit
    found = DataCache(int(_text(index, "level")), bytes_, _text(index, "shared_cpu_list"))
    if not found.sharers:
        raise ValueError(f"{index} names no CPU")
    return found


def _text(index: Path, name: str) -> str:
    return (index / name).read_text().strip()
