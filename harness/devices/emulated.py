"""An emulated core: a board's server on this machine, whose sessions run in QEMU."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

from facebench.architectures.errors import UnavailableError
from facebench.harness.devices.board.client import connect
from facebench.harness.devices.emulator.launcher import EmulatedLauncher
from facebench.harness.devices.registry import DEVICES, Device, Facts
from facebench.harness.machine import environment
from facebench.harness.machine.cores import CORES
from facebench.harness.runtimes.session import Session


class EmulatedDevice:
    """A named core in QEMU; docs/model.md says what its figures mean."""

    kind = "emulated"
    remote = True

    def __init__(self, core: str) -> None:
        self.name = f"emulated:{core}"
        self._core = core

    @cache  # noqa: B019  # a few cores at most
    def facts(self) -> Facts:
        """As in `Device`."""
        launcher = EmulatedLauncher(self._core)
        return Facts(
            launcher.target,
            tuple(launcher.runtimes()),
            environment.cores(),
            launcher.identity,
            launcher.cores,
            self._core,
        )

    def open(self, runtime: str, artifact: Path, threads: int, counting: bool = False) -> Session:
        """A session on a server of its own, which ends with it."""
        self.facts()  # that it is set up
        server = _serve(self._core)

        def end() -> None:
            server.terminate()
            server.wait()

        try:
            board = connect("127.0.0.1", _port(server), at_end=end)
            return board.open(runtime, artifact, threads, counting)
        except BaseException:
            end()
            raise


def _serve(core: str) -> subprocess.Popen[str]:
    python = [sys.executable, "-P", "-m"]
    serve = ["facebench", "device", "serve", "--port", "0", "--emulated", core]
    return subprocess.Popen(
        [*python, "facebench.harness.devices.board.die_with_parent", *python, *serve],
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )


def _port(server: subprocess.Popen[str]) -> int:
    assert server.stderr is not None
    said = ""
    for said in server.stderr:
        if said.startswith("serving "):
            return int(said.rsplit(":", 1)[1])
    raise UnavailableError(f"the emulated device's server did not start: {said.strip()}")


@DEVICES.family("emulated", f"an emulated ARM core, of {', '.join(CORES.names())}")
@cache
def _emulated(core: str) -> Device:
    return EmulatedDevice(CORES[core].name)
