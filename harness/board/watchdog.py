"""Ends this process when a board does not answer: a call over RPC cannot be interrupted."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

from architectures.errors import LostError
from harness.workers import LOST

# Longest silence of a board within a call, in seconds; each call asks for less.
LOST_S = 30.0


@contextlib.contextmanager
def watched(board: str, doing: str) -> Iterator[None]:
    """Make calls over RPC; for processes of which one board is all, such as a worker.

    After `LOST_S` the process ends with `workers.LOST`, its last line the reason.

    Args:
        board: its name, for people.
        doing: such as `opening the network`.

    Raises:
        LostError: the connection broke, or the board failed.
    """
    timer = threading.Timer(LOST_S, _end, (board, doing))
    timer.daemon = True
    timer.start()
    try:
        yield
    except (RuntimeError, OSError) as error:  # what TVM raises, whatever went wrong
        raise LostError(f"board {board} was lost ({doing}): {last_line(error)}") from error
    finally:
        timer.cancel()


def last_line(error: Exception) -> str:
    """What TVM says went wrong, without what it says of its own code."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1]


def _end(board: str, doing: str) -> None:
    sentence = (
        f"board {board} did not answer within {LOST_S:.0f} s ({doing}): is it on, reachable, "
        "and used by nobody else?\n"
    )
    os.write(2, sentence.encode())
    os._exit(LOST)
