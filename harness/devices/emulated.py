"""An emulated core: a board's server on this machine, whose sessions run in QEMU."""

from __future__ import annotations

import os
import re
import secrets
import signal
import time
from functools import cache
from pathlib import Path

from facebench.architectures.errors import UnavailableError
from facebench.harness.devices.board.client import connect
from facebench.harness.devices.board.server import KEY_VARIABLE
from facebench.harness.devices.emulator.launcher import EmulatedLauncher
from facebench.harness.devices.registry import DEVICES, Device, Facts
from facebench.harness.machine import environment
from facebench.harness.machine.boards import described
from facebench.harness.machine.cores import CORES
from facebench.harness.machine.processes import ChildProcess, dying_with_parent, python_module
from facebench.harness.runtimes.session import Session

_SERVING = re.compile(r"^serving .*:(\d+)$", re.MULTILINE)

# Seconds between two looks at whether the server said where it serves.
_LOOK_S = 0.02


class EmulatedDevice:
    """It is a named core in QEMU, at the clock and with the memory of a board where one is named;
    docs/model.md says what its figures mean.
    """

    kind = "emulated"
    remote = True

    def __init__(self, core: str) -> None:
        self.name = f"emulated:{core}"
        self._core = core

    @cache  # noqa: B019  # a few cores at most
    def facts(self) -> Facts:
        """Return the facts about the device."""
        launcher = self._launcher()
        return Facts(
            launcher.target,
            tuple(launcher.runtimes()),
            environment.cores(),
            launcher.identity,
            launcher.cores,
            launcher.name,
        )

    def _launcher(self) -> EmulatedLauncher:
        return EmulatedLauncher(self._core)

    def open(self, runtime: str, artifact: Path, threads: int, counting: bool = False) -> Session:
        """Open a session on a server of its own, which ends with it."""
        self._launcher().require(runtime)
        # Of this session alone: another user of this machine may find the port.
        key = secrets.token_hex(16)
        server = _serve(self._core, key)

        def end() -> None:
            server.signal(signal.SIGTERM)
            server.ended()
            server.close()

        try:
            board = connect("127.0.0.1", _port(server), key, self.name, at_end=end)
            return board.open(runtime, artifact, threads, counting)
        except BaseException:
            end()
            raise


def _serve(core: str, key: str) -> ChildProcess:
    serve = ("device", "serve", "--port", "0", "--emulated", core)
    return ChildProcess(
        dying_with_parent(python_module("facebench", *serve)),
        piped=False,
        # Arguments of a process are seen by everybody, its variables are not.
        environment=os.environ | {KEY_VARIABLE: key},
    )


def _port(server: ChildProcess) -> int:
    """Return the port of a server that has just been started, once it says it."""
    while True:
        running = server.running
        if found := _SERVING.search(server.log()):
            return int(found[1])
        if not running:
            raise UnavailableError(
                f"the emulated device's server did not start: {server.last_line()}"
            )
        time.sleep(_LOOK_S)


@DEVICES.family(
    "emulated",
    f"an emulated ARM core, of {', '.join(CORES.names())}; or that of a board or phone",
)
@cache
def _emulated(name: str) -> Device:
    described(name)  # that there is one
    return EmulatedDevice(name)
