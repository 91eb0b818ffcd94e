"""Processes of our own that must not outlive us."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

# The exit code of a process that lost its device: what it did is tried once more.
LOST = os.EX_TEMPFAIL

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int | None = None) -> None:
    """End this process when its parent ends, however that does.

    A run that is killed leaves nothing behind that would disturb the next one's figures.

    Args:
        parent: its process id, where it is known: it may have ended before this was called.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if parent is not None and os.getppid() != parent:
            os._exit(1)
