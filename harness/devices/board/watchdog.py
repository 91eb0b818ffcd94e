"""Ends this process when a board does not answer: a call over RPC cannot be interrupted."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import struct
import threading
from collections.abc import Iterator

from facebench.architectures.errors import LostError
from facebench.harness.machine.processes import LOST

# Longest silence of a board within a call, in seconds; each call asks for less.
LOST_S = 30.0

# How much longer the connection itself waits, so that the watchdog says its sentence first.
_AFTER_S = 2

# Characters of what a board says, in a sentence.
_SHOWN = 500

# A process may hold other sockets, whose names have no port.
_INTERNET = (socket.AF_INET, socket.AF_INET6)


# What TVM raises, whatever a board answered; a function that it lacks is an attribute.
_RAISED = (RuntimeError, OSError, AttributeError, TypeError, ValueError, MemoryError)


@contextlib.contextmanager
def watched(board: str, doing: str) -> Iterator[None]:
    """Make calls over RPC; for processes of which one board is all, such as a worker.

    After `LOST_S` the process ends with `processes.LOST`, its last line the reason.

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
    except _RAISED as error:
        raise LostError(f"board {board} was lost ({doing}): {last_line(error)}") from error
    finally:
        timer.cancel()


def limit_silence(port: int) -> None:
    """Let this process's connections to a port fail after a silence of about `LOST_S`.

    TVM frees what it holds on a board by calls of its own, in destructors that keep
    Python's lock: no watchdog in Python ends these.
    """
    limit = struct.pack("ll", int(LOST_S) + _AFTER_S, 0)
    for descriptor in map(int, os.listdir("/dev/fd")):
        with contextlib.suppress(OSError):
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                continue
            # A copy, for Python closes what is its own; options are of both.
            with socket.socket(fileno=os.dup(descriptor)) as found:
                if found.family in _INTERNET and found.getpeername()[1] == port:
                    found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
                    found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)


def last_line(error: Exception) -> str:
    """Return what TVM says went wrong, without what it says of its own code."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return shown(lines[-1])


def shown(text: str) -> str:
    """Return as much of a board's text as a sentence bears."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _end(board: str, doing: str) -> None:
    sentence = (
        f"board {board} did not answer within {LOST_S:.0f} s ({doing}): is it on, reachable, "
        "and used by nobody else?\n"
    )
    os.write(2, sentence.encode())
    os._exit(LOST)
