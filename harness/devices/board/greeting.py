"""Lets those clients of a board's server through that greet as TVM's clients do.

TVM's loop reads one greeting at a time, without a deadline, and ends on one that it does not
understand. Here all greetings are read at once, before its loop sees any: magic, length, and
`client:KEY` with options.
"""

from __future__ import annotations

import contextlib
import math
import queue
import select
import socket
import struct
import threading
import time
from typing import Any

# TVM's `base.RPC_MAGIC`, and the longest key that a greeting may have.
_MAGIC = 0xFF271
_LONGEST = 1024
_HEAD = struct.Struct("<ii")

# A client says what it wants within these seconds, or is shown out.
_GREETING_S = 5.0

# Clients that greet at once; where more come, who came first is shown out.
_GREETING = 256

# Clients that greeted and wait; where there are so many, the next are left to knock.
_READY = 64
_LOOK_S = 0.5

# A client whose machine went away is noticed after about a minute.
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}


class Greeter:
    """What TVM's loop takes for the listening socket: it accepts clients that greeted well.

    The loop compares their key, and hangs up before it reads anything else.

    Args:
        listening: the socket that clients connect to.
    """

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._ready: queue.SimpleQueue[tuple[_Client, Any]] = queue.SimpleQueue()
        self._rung, self._bell = socket.socketpair()
        self._served: _Client | None = None
        threading.Thread(target=self._greet, daemon=True).start()

    def fileno(self) -> int:
        """Return the descriptor that is readable once a client is ready, for `select`."""
        return self._rung.fileno()

    def accept(self) -> tuple[socket.socket, Any]:
        """Return the next client, whose greeting is still to be read."""
        self._rung.recv(1)
        self._served, address = self._ready.get()
        return self._served, address

    def hang_up(self) -> None:
        """End the connection that was accepted last, where TVM's loop left it open.

        Its client would wait for an answer until its watchdog ends it.
        """
        if self._served is not None:
            self._served.show_out()

    def _greet(self) -> None:
        clients: dict[_Client, Any] = {}
        while True:
            until = min((client.until for client in clients), default=math.inf)
            full = self._ready.qsize() >= _READY
            wait = max(min(until - time.monotonic(), _LOOK_S if full else math.inf), 0.0)
            door = [] if full else [self._listening]
            heard, _, _ = select.select(
                [*door, *clients], [], [], None if wait == math.inf else wait
            )
            if self._listening in heard:
                with contextlib.suppress(OSError):
                    connection, address = self._listening.accept()
                    clients[_Client(connection)] = address
            for client in list(clients):
                done = client in heard and client.hear()
                if done and client.is_understood():
                    self._ready.put((client, clients.pop(client)))
                    self._bell.send(b".")
                elif done or client.until <= time.monotonic():
                    del clients[client]
                    client.show_out()
            for client in list(clients)[:-_GREETING]:
                del clients[client]
                client.show_out()


class _Client(socket.socket):
    """It is a connection that gives its greeting once more, to TVM's loop."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection.family, connection.type, fileno=connection.detach())
        self.until = time.monotonic() + _GREETING_S
        self._greeting = b""
        self._missing = _HEAD.size
        self.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self.family != socket.AF_UNIX:
            for name, value in _KEEPALIVE.items():
                self.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

    def hear(self) -> bool:
        """Read on; whether the greeting is whole, or there will be none."""
        try:
            more = super().recv(self._missing, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            more = b""
        if not more:
            return True
        self._greeting += more
        self._missing -= len(more)
        if len(self._greeting) == _HEAD.size:
            magic, length = _HEAD.unpack(self._greeting)
            if magic == _MAGIC and 0 < length <= _LONGEST:
                self._missing = length
        return self._missing == 0

    def is_understood(self) -> bool:
        """Return whether the greeting is whole, and one that TVM's loop understands."""
        if self._missing or len(self._greeting) == _HEAD.size:
            return False
        try:
            _, *options = self._greeting[_HEAD.size :].decode().split()
            # TVM kills a session after so many seconds; it reads this with `float`.
            limits = [float(one[9:]) for one in options if one.startswith("-timeout=")]
        except ValueError:
            return False
        return all(0 < limit < threading.TIMEOUT_MAX for limit in limits)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Receive as any socket does; the greeting comes first."""
        if not self._greeting:
            return super().recv(size, flags)
        part, self._greeting = self._greeting[:size], self._greeting[size:]
        return part

    def show_out(self) -> None:
        """End the connection, in copies that other processes have too."""
        with contextlib.suppress(OSError):
            self.shutdown(socket.SHUT_RDWR)
        self.close()
