"""Memory that a step frees is kept for the next one, which needs as much again."""

from __future__ import annotations

import ctypes
from contextlib import suppress

# Of <malloc.h>.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_MOST = 2**31 - 1


def keep_freed_memory() -> None:
    """Let the C library hand no memory back to the system.

    Large maps of a step are mapped from the system by default and given back at once, so
    that each step pays for hundreds of thousands of page faults: a fifth of the time of
    MobileFaceNet's steps on two cores. Other C libraries than glibc are left as they are.
    """
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_MMAP_MAX, 0)
        library.mallopt(_TRIM_THRESHOLD, _MOST)
