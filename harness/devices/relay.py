"""Relays connections of this user from a port of the loopback to a Unix socket.

TVM's client speaks TCP alone, and any user of a machine may connect to a port of its loopback.
It is a process of its own: TVM waits for a board in destructors that keep Python's lock.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path

_ESTABLISHED = "01"
_CHUNK = 2**16


def relay(listening: socket.socket, way: str) -> None:
    """Let this user's connections through, one after the other is accepted, without an end."""
    while True:
        client, address = listening.accept()
        with suppress(OSError):
            if is_own(address[1], listening.getsockname()[1]):
                board = socket.socket(socket.AF_UNIX)
                board.connect(way)
                for source, target in ((client, board), (board, client)):
                    threading.Thread(target=_pump, args=(source, target), daemon=True).start()
                continue
        client.close()


def is_own(port: int, listening: int) -> bool:
    """Say whether a process of this user holds the end of a connection that has a port.

    Args:
        port: of the end that connected.
        listening: the port that it connected to.
    """
    for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]:
        _, here, there, state, _, _, _, user, _, inode, *_ = line.split()
        ports = tuple(int(end.rpartition(":")[2], 16) for end in (here, there))
        if ports == (port, listening):
            # One that its process has closed is said to be root's, and has no inode.
            return state == _ESTABLISHED and int(user) == os.getuid() and inode != "0"
    return False


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(_CHUNK):
            target.sendall(data)
    # In both directions: a board that is gone is noticed at once.
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def main() -> None:
    """Relay to the socket that is named, and tell the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sys.stdout.write(f"{listening.getsockname()[1]}\n")
        sys.stdout.flush()
        relay(listening, sys.argv[1])


if __name__ == "__main__":
    main()
