"""Dials a board: by a relay, with patience, and with a sentence where none answers."""

from __future__ import annotations

import socket
import time
from typing import Any

from facebench.architectures.errors import UnavailableError
from facebench.harness.compiler.tvm import import_tvm
from facebench.harness.devices.board.watchdog import last_line, limit_silence, watched
from facebench.harness.machine.processes import ChildProcess, dying_with_parent, python_module

# A board that was lost and starts again listens after a while, in seconds.
RETURN_S = 20.0

_RELAY = "facebench.harness.devices.board.relay"


def dial(host: str, port: int | None, key: str, name: str) -> tuple[Any, ChildProcess]:
    """Return TVM's session and the relay to it, tried for `RETURN_S` while nothing listens.

    Args:
        host: where the board is, or a Unix socket that leads there, where `port` is None.
        key: what it was served with.
        name: for messages.

    Raises:
        UnavailableError: no board answers, or one with another key.
        LostError: it answers what is no answer.
    """
    if port is not None:
        try:
            socket.getaddrinfo(host, port)
        except (OSError, UnicodeError) as error:  # UnicodeError: no host has such a name
            raise UnavailableError(f"board {name}: there is no host {host!r} ({error})") from error
    import_tvm()  # it takes a while, and a board shows out who does not greet within seconds
    end = time.monotonic() + RETURN_S
    while True:
        with watched(name, "connecting"):
            relay = _relay(host, "" if port is None else str(port))
            said = relay.line().decode(errors="replace").strip()
            if said.isdecimal():
                try:
                    return _connected(int(said), key), relay
                except RuntimeError as error:
                    said = last_line(error)
            relay.close()
        if "matches key" in said:
            raise UnavailableError(
                f"board {name} is served with another key than {key!r}: give serve's --key"
            )
        if time.monotonic() > end:
            raise UnavailableError(
                f"board {name} cannot be reached ({said}): start 'facebench device serve' on it"
            )
        time.sleep(0.5)


def _relay(host: str, port: str) -> ChildProcess:
    return ChildProcess(dying_with_parent(python_module(_RELAY, host, port)))


def _connected(port: int, key: str) -> Any:
    rpc_session = import_tvm().rpc.connect("127.0.0.1", port, key)
    limit_silence(port)
    return rpc_session
