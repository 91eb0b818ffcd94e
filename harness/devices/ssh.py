"""Provides a board behind SSH: `ssh://user@board`, whose server listens to its own machine
alone.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import time
from functools import cache

from facebench.architectures.errors import BadInputError, UnavailableError
from facebench.harness.devices.board.client import connect
from facebench.harness.devices.board.device import BoardDevice
from facebench.harness.devices.board.server import DEFAULT_PORT
from facebench.harness.devices.registry import DEVICES, Device
from facebench.harness.machine.processes import ChildProcess, dying_with_parent

# What comes before and after @; nothing that ssh would take for an option.
_DESTINATION = re.compile(r"//((?:[\w.-]+@)?\w[\w.:-]*?)(?::(\d+))?(?:\?serve=(\d+))?$")

# To log in and forward, in seconds.
_TUNNEL_S = 20.0


@cache
def _tunnel(destination: str, ssh_port: int | None, served: int) -> int:
    """Return the port of this machine that leads to a board's server, for as long as this process
    lives.

    Raises:
        UnavailableError: ssh is missing, or cannot log in.
    """
    port = _free_port()
    options = ["-o", "ExitOnForwardFailure=yes", "-o", "BatchMode=yes"]
    if ssh_port is not None:
        options += ["-p", str(ssh_port)]
    forward = f"127.0.0.1:{port}:127.0.0.1:{served}"
    command = ["ssh", "-N", *options, "-L", forward, "--", destination]
    if not shutil.which("ssh"):
        raise UnavailableError("ssh is not installed: 'sudo apt-get install openssh-client'")
    tunnel = ChildProcess(dying_with_parent(command), piped=False)
    end = time.monotonic() + _TUNNEL_S
    while time.monotonic() < end:
        if not tunnel.running:
            raise UnavailableError(
                f"ssh to {destination} failed: {tunnel.last_line() or 'it gave no reason'}; "
                f"'ssh {destination}' must log in without a question"
            )
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return port
        time.sleep(0.1)
    tunnel.close()
    raise UnavailableError(f"ssh to {destination} set up no tunnel in {_TUNNEL_S:.0f} s")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@DEVICES.family("ssh", "a board reached through SSH, where 'facebench device serve' runs")
@cache
def _ssh(rest: str) -> Device:
    found = _DESTINATION.match(rest)
    if not found:
        raise BadInputError(
            f"device ssh:{rest} is not valid: write ssh://USER@HOST, with :PORT where it is not 22 "
            f"and ?serve=PORT where the board's server is not at {DEFAULT_PORT}"
        )
    destination, port, served = found.groups()
    way = (destination, int(port) if port else None, int(served or DEFAULT_PORT))
    return BoardDevice(f"ssh:{rest}", lambda: connect("127.0.0.1", _tunnel(*way), name=destination))
