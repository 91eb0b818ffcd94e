"""Reads the memory that this process holds, to see whether it grows with each inference."""

from __future__ import annotations

import os
from pathlib import Path

_STATM = Path("/proc/self/statm")


def resident_bytes() -> int | None:
    """Return the bytes held in memory now, see proc_pid_statm(5); None where they are not told."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def grown_bytes(before: int | None, after: int | None) -> int | None:
    """Return what was added between two looks, negative where memory was given back."""
    return None if before is None or after is None else after - before
