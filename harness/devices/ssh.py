"""Provides a board behind SSH: `ssh://user@board`, whose server listens to its own machine
alone.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

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


@dataclass(frozen=True)
class _Tunnel:
    """It is a way to a board's server, for as long as this process lives.

    Attributes:
        folder: where the socket is to which ssh listens; other users cannot enter it.
        process: ssh.
    """

    folder: tempfile.TemporaryDirectory[str]
    process: ChildProcess

    @property
    def socket(self) -> Path:
        """Return the socket that leads to the board."""
        return Path(self.folder.name, "s")


@cache
def _tunnel(destination: str, ssh_port: int | None, served: int) -> _Tunnel:
    """Set a tunnel up.

    Raises:
        UnavailableError: ssh is missing, or cannot log in.
    """
    if not shutil.which("ssh"):
        raise UnavailableError("ssh is not installed: 'sudo apt-get install openssh-client'")
    folder = tempfile.TemporaryDirectory(prefix="ssh-")
    options = ["-o", "ExitOnForwardFailure=yes", "-o", "BatchMode=yes"]
    if ssh_port is not None:
        options += ["-p", str(ssh_port)]
    forward = f"{folder.name}/s:127.0.0.1:{served}"
    command = ["ssh", "-N", *options, "-L", forward, "--", destination]
    ssh = ChildProcess(dying_with_parent(command), piped=False)
    tunnel = _Tunnel(folder, ssh)
    end = time.monotonic() + _TUNNEL_S
    while not tunnel.socket.exists():
        if not ssh.running:
            raise UnavailableError(
                f"ssh to {destination} failed: {ssh.last_line() or 'it gave no reason'}; "
                f"'ssh {destination}' must log in without a question"
            )
        if time.monotonic() > end:
            ssh.close()
            raise UnavailableError(f"ssh to {destination} set up no tunnel in {_TUNNEL_S:.0f} s")
        time.sleep(0.1)
    return tunnel


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
    return BoardDevice(
        f"ssh:{rest}", lambda: connect(str(_tunnel(*way).socket), None, name=destination)
    )
