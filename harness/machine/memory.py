"""Reads the peak of this process's resident memory, and begins a new peak."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/")

# What proc_pid_clear_refs(5) takes for "forget the peak".
_FORGET_PEAK = "5"


@dataclass(frozen=True)
class Memory:
    """It holds peaks of the resident memory of a process that infers, in bytes.

    They are of whole pages, and pages of libraries that are read from files count too.

    Attributes:
        before_bytes: resident once the runtime was imported, before the artifact was opened.
        loaded_bytes: the most by the time that it was open.
        sampled_bytes: the most by the time that samples were taken.
    """

    before_bytes: int
    loaded_bytes: int
    sampled_bytes: int

    @property
    def added_bytes(self) -> int:
        """Return what the network and its runtime add to the process at the most."""
        return self.sampled_bytes - self.before_bytes


def peak_bytes(root: Path = _ROOT) -> int:
    """Return the most that was resident since the process began, or since `begin_anew`."""
    try:
        lines = (root / "proc/self/status").read_text().splitlines()
        kilobytes = next(line.split()[1] for line in lines if line.startswith("VmHWM:"))
        return int(kilobytes) * 1024
    except (OSError, StopIteration, ValueError, IndexError):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


def pages_of_files(root: Path = _ROOT) -> list[int] | None:
    """Return addresses of the pages of files that are resident; None where that cannot be read.

    See proc_pid_pagemap(5): eight bytes a page, the highest bit of which says that it is there.
    """
    size = resource.getpagesize()
    found: list[int] = []
    try:
        with (root / "proc/self/pagemap").open("rb") as flags:
            for line in (root / "proc/self/maps").read_text().splitlines():
                span, rights, *_, name = line.split(maxsplit=5)
                if not name.startswith("/") or not rights.startswith("r"):
                    continue
                start, end = (int(part, 16) for part in span.split("-"))
                flags.seek(start // size * 8)
                highest = flags.read((end - start) // size * 8)[7::8]
                found += [start + i * size for i, flag in enumerate(highest) if flag & 0x80]
    except (OSError, ValueError):
        return None
    return found


def hold(pages: Sequence[int]) -> None:
    """Read a byte of each page of this process, so that it is resident."""
    for address in pages:
        ctypes.string_at(address, 1)


def begin_anew(root: Path = _ROOT) -> None:
    """Give back what is free and let the peak begin from there, where the system can.

    Elsewhere, and in a process that reached a peak before which it does not reach again,
    nothing can be seen of what comes.
    """
    gc.collect()
    with contextlib.suppress(AttributeError, OSError):
        # glibc's: pages that are free would be taken again, and not count.
        ctypes.CDLL(None).malloc_trim(0)
    with contextlib.suppress(OSError):
        (root / "proc/self/clear_refs").write_text(_FORGET_PEAK)
