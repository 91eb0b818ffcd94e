"""What one client of a board has running: it starts a session and passes messages to and fro."""

from __future__ import annotations

import io
import json
import queue
import tarfile
import tempfile
import threading
import zlib
from importlib.metadata import version
from multiprocessing import util
from pathlib import Path
from typing import Any

from facebench.architectures.errors import FacebenchError
from facebench.harness.compiler import library
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.devices.board.launcher import Launcher
from facebench.harness.machine import environment
from facebench.harness.machine.processes import (
    ChildProcess,
    dying_with_parent,
    thread_variables,
)
from facebench.harness.runtimes import wire
from facebench.harness.storage.unpacking import unpack

# Of the functions below, and of what they take and give.
PROTOCOL = 2

# Bytes of an artifact, unpacked.
_LARGEST = 4 * 10**9

# A session whose input is closed has this long to go.
_GO_S = 2.0


class ServedClient:
    """What a client can call; each method is registered as `facebench.<its name>`.

    The client's process has its work folder as its current one.
    """

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self._packed = io.BytesIO()
        self._session: _ServedSession | None = None

    def describe(self) -> str:
        """Return what this board is, as JSON."""
        launcher = self._launcher
        return json.dumps(
            {
                "protocol": PROTOCOL,
                "facebench": version("facebench"),
                "kind": launcher.kind,
                "name": launcher.name,
                "target": launcher.target,
                "machine": _machine(launcher),
                "runtimes": launcher.runtimes(),
                "cores": launcher.cores,
                "identity": launcher.identity,
                "environment": environment.capture(),
            }
        )

    def put(self, chunk: bytes) -> None:
        """Take the next bytes of a tar archive that holds an artifact."""
        self._packed.write(chunk)

    def open(self, runtime: str, name: str, threads: int, counting: bool) -> str:
        """Start a session on the artifact that was put, and ask it to open it.

        Args:
            name: of the file or folder in the archive.

        Returns:
            Why this cannot be; empty once it is under way: `receive` gives the reply.
        """
        self.close()
        folder = Path(tempfile.mkdtemp(dir=Path.cwd()))
        self._packed.seek(0)
        with tarfile.open(fileobj=self._packed) as archive:
            unpack(archive, folder, _LARGEST)
        self._packed = io.BytesIO()
        counters = folder / "counters" if counting else None
        try:
            command = self._launcher.command(runtime, counters)
        except FacebenchError as error:
            return str(error)
        variables = self._launcher.environment(runtime) | thread_variables(threads)
        self._session = _ServedSession(command, variables, counters)
        self.send(wire.request(["open", runtime, str(threads)], str(folder / name).encode()))
        return ""

    def send(self, request: bytes) -> None:
        """Pass a request on to the session."""
        if self._session is not None:
            self._session.requests.put(bytes(request))

    def receive(self, seconds: float) -> bytes:
        """Return the session's reply; empty where there is none within some seconds."""
        if self._session is None:
            return wire.error("no session is open")
        try:
            return self._session.replies.get(timeout=seconds)
        except queue.Empty:
            return b""

    def counters(self) -> bytes:
        """Return the texts of a count's regions, in order, as compressed JSON."""
        found = self._session.counters if self._session else None
        paths = [found.with_name(f"{found.name}.{n}") for n in (0, 1)] if found else []
        texts = [path.read_text() for path in paths if path.exists()]
        return zlib.compress(json.dumps(texts).encode())

    def close(self) -> None:
        """End the session."""
        if self._session is not None:
            self._session.close()
            self._session = None


class _ServedSession:
    """It is a session's process, and the thread that talks with it, for a send must not block."""

    def __init__(
        self, command: list[str], variables: dict[str, str], counters: Path | None
    ) -> None:
        self.requests: queue.Queue[bytes] = queue.Queue()
        self.replies: queue.Queue[bytes] = queue.Queue()
        self.counters = counters
        # Whatever the session is written in.
        self._process = ChildProcess(dying_with_parent(command), environment=variables)
        # The end of a client's process calls these; nothing calls `atexit` there.
        util.Finalize(self, self._process.kill, exitpriority=1)
        threading.Thread(target=self._exchange, daemon=True).start()

    def close(self) -> None:
        """End the process, by force where it does not go."""
        self._process.send(b"", last=True)
        self._process.ended(_GO_S)

    def _exchange(self) -> None:
        while True:
            self._process.send(self.requests.get())
            try:
                message = wire.read(self._process.output)
            except (OSError, ValueError):
                message = None
            if message is None:
                self._process.kill()  # where it is alive, it talks nonsense
                self.replies.put(wire.error(self._end()))
                continue
            words, payload = message
            good = words == ["ok"]
            self.replies.put(wire.reply(payload) if good else wire.error(payload.decode()))

    def _end(self) -> str:
        """Say how the process ended."""
        end = self._process.ended()
        if end.signal == "SIGILL":
            return "ended by SIGILL: the library uses an instruction that this CPU lacks"
        return str(end)


def _machine(launcher: Launcher) -> str:
    """ELF name of the architecture that a session's libraries must be for."""
    if launcher.kind == "emulated":
        return TARGETS[launcher.target].elf_machine
    # Not the kernel's: one of 64 bits may run a system of 32.
    return library.machine(Path("/proc/self/exe"))


def register(client: ServedClient) -> None:
    """Offer a client's methods to TVM's clients."""
    import tvm_ffi

    functions: dict[str, Any] = {
        "describe": client.describe,
        "put": client.put,
        "open": client.open,
        "send": client.send,
        "receive": client.receive,
        "counters": client.counters,
        "close": client.close,
    }
    for name, function in functions.items():
        tvm_ffi.register_global_func(f"facebench.{name}", function)
