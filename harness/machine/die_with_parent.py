"""Ends a process with its parent; run as a program, it does so for a command.

It imports little, for it is started before each session on a board.
"""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_PDEATHSIG, _SIGKILL = 1, 9


def die_with_parent(parent: int | None = None) -> None:
    """End this process when its parent ends, however that does.

    A run that is killed leaves nothing behind that would disturb the next one's figures.

    Args:
        parent: its process id, where it is known: it may have ended before this was called.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL)
        if parent is not None and os.getppid() != parent:
            os._exit(1)


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    # The wish outlives exec: the command is killed with its parent.
    os.execvp(sys.argv[2], sys.argv[2:])
