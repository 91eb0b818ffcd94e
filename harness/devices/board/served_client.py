"""What one client of a board has running: it starts a session and passes messages to and fro."""

from __future__ import annotations

import contextlib
import io
import json
import os
import queue
import signal
import subprocess
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
from facebench.harness.machine.processes import die_with_parent
from facebench.harness.runtimes import wire

# Of the functions below, and of what they take and give.
PROTOCOL = 2

# A session whose input is closed has this long to go.
_GO_S = 2.0

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class ServedClient:
    """What a client can call; each method is registered as `facebench.<its name>`.

    The client's process has its work folder as its current one.
    """

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self._packed = io.BytesIO()
        self._session: _ServedSession | None = None

    def describe(self) -> str:
        """What this board is, as JSON."""
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
            archive.extractall(folder, filter="data")
        self._packed = io.BytesIO()
        counters = folder / "counters" if counting else None
        try:
            command = self._launcher.command(runtime, counters)
        except FacebenchError as error:
            return str(error)
        variables = dict.fromkeys((*_THREAD_VARIABLES, "TVM_NUM_THREADS"), str(threads))
        self._session = _ServedSession(command, variables | self._launcher.environment(), counters)
        self.send(wire.request(["open", runtime, str(threads)], str(folder / name).encode()))
        return ""

    def send(self, request: bytes) -> None:
        """Pass a request on to the session."""
        if self._session is not None:
            self._session.requests.put(bytes(request))

    def receive(self, seconds: float) -> bytes:
        """The session's reply; empty where there is none within some seconds."""
        if self._session is None:
            return wire.error("no session is open")
        try:
            return self._session.replies.get(timeout=seconds)
        except queue.Empty:
            return b""

    def counters(self) -> bytes:
        """The texts of a count's regions, in order, as compressed JSON."""
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
    """A session's process, and the thread that talks with it, for a send must not block."""

    def __init__(
        self, command: list[str], variables: dict[str, str], counters: Path | None
    ) -> None:
        self.requests: queue.Queue[bytes] = queue.Queue()
        self.replies: queue.Queue[bytes] = queue.Queue()
        self.counters = counters
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # it is the process's
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=os.environ | variables,
            preexec_fn=die_with_parent,  # whatever the session is written in
        )
        # The end of a client's process calls these; nothing calls `atexit` there.
        util.Finalize(self, self._process.kill, exitpriority=1)
        threading.Thread(target=self._exchange, daemon=True).start()

    def close(self) -> None:
        """End the process, by force where it does not go."""
        process = self._process
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(_GO_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _exchange(self) -> None:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        while True:
            request = self.requests.get()
            try:
                process.stdin.write(request)
                process.stdin.flush()
                message = wire.read(process.stdout)
            except (OSError, ValueError):
                message = None
            if message is None:
                process.kill()  # where it is alive, it talks nonsense
                self.replies.put(wire.error(self._end()))
                continue
            words, payload = message
            good = words == ["ok"]
            self.replies.put(wire.reply(payload) if good else wire.error(payload.decode()))

    def _end(self) -> str:
        """How the process ended."""
        code = self._process.wait()
        self._log.seek(0)
        last = self._log.read().decode(errors="replace").strip().splitlines()[-1:]
        said = f"; the last it said: {last[0][:300]}" if last else ""
        if code == -signal.SIGILL:
            return "ended by SIGILL: the library uses an instruction that this CPU lacks"
        if code < 0:
            return f"ended by {signal.Signals(-code).name}{said}"
        return f"ended with exit code {code}{said}"


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
