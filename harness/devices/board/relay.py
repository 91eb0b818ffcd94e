"""Relays one connection of this user from a port of the loopback to a board, and bounds answers.

TVM's client speaks TCP alone, any user of a machine may connect to a port of its loopback, and
what a board may do to that client is in `replies`. The relay is a process of its own: TVM waits
for a board in destructors that keep Python's lock.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path

from facebench.harness.devices.board.replies import Replies, ReplyError, exception

_ESTABLISHED = "01"
_CHUNK = 2**16

# For a board to accept a connection, in seconds.
_CONNECT_S = 10.0


def relay(client: socket.socket, board: socket.socket) -> None:
    """Pass on what either says until one hangs up, or the board says what is no answer."""
    threading.Thread(target=_pump, args=(client, board), daemon=True).start()
    replies = Replies()
    with suppress(OSError):
        while data := board.recv(_CHUNK):
            try:
                client.sendall(replies.take(data))
            except ReplyError as error:
                # In the board's name, so that whoever asked raises it.
                client.sendall(exception(str(error)))
                break
    _hang_up(client, board)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(_CHUNK):
            target.sendall(data)
    _hang_up(source, target)


def _hang_up(*ends: socket.socket) -> None:
    """End both directions: a board that is gone is noticed at once."""
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def accepted(listening: socket.socket) -> socket.socket:
    """Return the first connection that is this user's; others are closed."""
    while True:
        client, address = listening.accept()
        if is_own(address[1], listening.getsockname()[1]):
            return client
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


def _connected(host: str, port: str) -> socket.socket:
    if port:
        board = socket.create_connection((host, int(port)), _CONNECT_S)
        board.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    else:
        board = socket.socket(socket.AF_UNIX)
        board.connect(host)
    board.settimeout(None)
    return board


def main() -> None:
    """Connect to a host and port, or to a Unix socket; tell the port, or why there is none."""
    try:
        board = _connected(*sys.argv[1:])
    except (OSError, OverflowError) as error:
        sys.stdout.write(f"{error}\n")
        return
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sys.stdout.write(f"{listening.getsockname()[1]}\n")
        sys.stdout.flush()
        client = accepted(listening)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    relay(client, board)


if __name__ == "__main__":
    main()
