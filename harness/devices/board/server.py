"""Serves a machine's runtimes over TVM's RPC."""

from __future__ import annotations

import ipaddress
import logging
import multiprocessing
import os
import signal
import socket
from collections.abc import Callable
from types import FrameType

from facebench.architectures.errors import BadInputError
from facebench.harness.compiler.tvm import import_tvm
from facebench.harness.devices.board import trackers
from facebench.harness.devices.board.greeting import Greeter
from facebench.harness.devices.board.launcher import Launcher
from facebench.harness.devices.board.served_client import ServedClient, register
from facebench.harness.machine.die_with_parent import die_with_parent

DEFAULT_PORT = 9090

# Where the command takes the key from, if no option names it.
KEY_VARIABLE = "FACEBENCH_BOARD_KEY"

# Clients that wait while another has the board.
_WAITING = 64


def serve(
    launcher: Launcher,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    key: str = "",
    tracker: tuple[str, int] | None = None,
    tell: Callable[[str], None] = print,
) -> None:
    """Serve until SIGTERM or SIGINT, one client at a time; for a process of its own.

    Args:
        port: 0 for any that is free.
        key: what clients must ask for; the name of the board's kind on a tracker.
        tracker: where to offer the board, host and port.
        tell: told `serving NAME on HOST:PORT` once it is up, and warnings.

    Raises:
        BadInputError: the address cannot be had.
        UnavailableError: the tracker cannot be reached.
    """
    if tracker:
        trackers.boards(*tracker)
    import_tvm()
    # Private: it runs our functions in each client. TVM's `Server` starts a new
    # Python where none are registered. TVM's version is pinned.
    from tvm.rpc import server

    server.logger.setLevel(logging.ERROR)
    listening = listen(host, port)
    register(ServedClient(launcher))
    _end_on_signals()
    address = "{}:{}".format(*listening.getsockname()[:2])
    if not is_loopback(host):
        tell(
            f"warning: whoever reaches {address} can run code here as this user, as TVM's RPC "
            "has no passwords: serve on 127.0.0.1 and connect with --device ssh://USER@HOST"
        )
    greeter = Greeter(listening)
    served = listening.getsockname()[1]
    tell(f"serving {launcher.name or 'this machine'} on {address}")
    try:
        while True:
            try:
                server._listen_loop(greeter, served, key, tracker, None, None)
            except (RuntimeError, OSError) as error:
                # A client that dies, or whose folder stays, would otherwise end the server.
                greeter.hang_up()
                tell(f"a client ended badly; the next one can come: {error}")
                os.chdir("/")
    finally:
        _end_clients()
        listening.close()


def listen(host: str, port: int) -> socket.socket:
    """Listen on an address.

    Raises:
        BadInputError: it cannot be had.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except (OSError, OverflowError) as error:
        raise BadInputError(
            f"cannot serve on {host}:{port}: {error}; choose others with --host and --port"
        ) from error
    listening.listen(_WAITING)
    return listening


def _end_clients() -> None:
    for client in multiprocessing.active_children():
        client.kill()


def _end_on_signals() -> None:
    own = os.getpid()

    def stop(number: int, frame: FrameType | None) -> None:
        if os.getpid() != own:
            raise SystemExit(0)
        # An exception is lost where Python is in a finalizer just then: it would serve for ever.
        _end_clients()
        os._exit(0)

    multiprocessing.set_start_method("fork", force=True)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    os.register_at_fork(after_in_child=_in_session)


def _in_session() -> None:
    """Wait with the client in C, where Python's handlers do not run; and it must not outlive us."""
    die_with_parent()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
