"""Connects to a board that `facebench device serve` serves, and opens sessions there."""

from __future__ import annotations

import io
import json
import socket
import tarfile
import time
import zlib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from facebench.architectures.errors import LostError, RefusedError, UnavailableError
from facebench.harness.compiler.tvm import import_tvm
from facebench.harness.devices.board.description import Description, require
from facebench.harness.devices.board.served_client import PROTOCOL
from facebench.harness.devices.board.watchdog import last_line, limit_silence, watched
from facebench.harness.devices.emulator import counters
from facebench.harness.machine.energy import NO_ENERGY
from facebench.harness.machine.footprint import Footprint
from facebench.harness.runtimes import wire
from facebench.harness.runtimes.session import Session
from facebench.harness.stats.arrays import FloatArray
from facebench.harness.storage.serialization import convert, parse_json
from facebench.harness.timing.sampler import Budget, Samples

# A board that was lost and starts again listens after a while, in seconds.
RETURN_S = 20.0

# Longest answer of a session, in seconds; it is asked for every two, so that a
# silent board is noticed before.
CASE_S = 600.0
_POLL_S = 2.0

# Bytes of a count's regions, unpacked: those of the largest network are a tenth of that.
_LARGEST = 256 * 2**20

# Bytes of an artifact in a call: a slow network carries them within `watchdog.LOST_S`.
_CHUNK = 2**21


class Board(Protocol):
    """It is a board, connected."""

    def describe(self) -> Description:
        """Return what it says of itself."""
        ...

    def open(self, runtime: str, artifact: Path, threads: int, counting: bool = False) -> Session:
        """Open an artifact there; the session's end is that of the connection.

        Raises:
            UnavailableError: it lacks the runtime.
            RefusedError: the artifact is for another CPU.
            LostError: it answers no more.
        """
        ...

    def close(self) -> None:
        """Hang up."""
        ...


def connect(
    host: str,
    port: int,
    key: str = "",
    name: str = "",
    at_end: Callable[[], object] = lambda: None,
) -> Board:
    """Connect to a board; only for processes of their own, see `watchdog.watched`.

    Args:
        key: what the board was served with.
        name: for messages; the address by default.
        at_end: called after the connection is closed.

    Raises:
        UnavailableError: no board listens there, or one of another version.
    """
    from facebench.harness.devices.board.plain import PlainBoard

    name = name or f"{host}:{port}"
    rpc_session = _session(host, port, key, name)
    with watched(name, "asking what it serves"):
        try:
            rpc_session.get_function("facebench.describe")
        except AttributeError:
            return PlainBoard(rpc_session, name, at_end)
    return ServedBoard(rpc_session, name, at_end)


def _session(host: str, port: int, key: str, name: str) -> Any:
    """TVM's rpc_session, tried for `RETURN_S` while nothing listens."""
    try:
        socket.getaddrinfo(host, port)
    except OSError as error:
        raise UnavailableError(f"board {name}: there is no host {host!r} ({error})") from error
    rpc = import_tvm().rpc
    end = time.monotonic() + RETURN_S
    while True:
        with watched(name, "connecting"):
            try:
                rpc_session = rpc.connect(host, port, key)
                limit_silence(port)
                return rpc_session
            except RuntimeError as error:
                reason = last_line(error)
        if "matches key" in reason:
            raise UnavailableError(
                f"board {name} is served with another key than {key!r}: give serve's --key"
            )
        if time.monotonic() > end:
            raise UnavailableError(
                f"board {name} cannot be reached ({reason}): start 'facebench device serve' on it"
            )
        time.sleep(0.5)


class ServedBoard:
    """It is a board that `facebench device serve` serves."""

    def __init__(self, rpc_session: Any, name: str, at_end: Callable[[], object]) -> None:
        self.name = name
        self.rpc_session = rpc_session
        self._at_end = at_end
        self._described: Description | None = None

    def call(self, doing: str, function: str, *arguments: Any) -> Any:
        """Call one of the functions of `board.rpc_session`."""
        with watched(self.name, doing):
            return self.rpc_session.get_function(f"facebench.{function}")(*arguments)

    def describe(self) -> Description:
        """Return the board's description, asked for once.

        Raises:
            UnavailableError: it serves another version of facebench.
        """
        if self._described is None:
            said = json.loads(self.call("asking what it is", "describe"))
            _require_version(self.name, said.pop("protocol"), said.pop("facebench"))
            self._described = Description(**said | {"runtimes": tuple(said["runtimes"])})
        return self._described

    def open(self, runtime: str, artifact: Path, threads: int, counting: bool = False) -> Session:
        """Open a session; where that fails, hang up, for the board serves one at a time."""
        try:
            return self._open(runtime, artifact, threads, counting)
        except BaseException:
            self.close()
            raise

    def _open(self, runtime: str, artifact: Path, threads: int, counting: bool) -> Session:
        described = self.describe()
        require(self.name, described, runtime, artifact)
        packed = memoryview(_pack(artifact))
        for start in range(0, len(packed), _CHUNK):
            self.call("sending the network", "put", bytes(packed[start : start + _CHUNK]))
        refusal = self.call(
            "opening the network", "open", runtime, artifact.name, threads, counting
        )
        if refusal:
            raise UnavailableError(f"board {self.name}: {refusal}")
        reply = self.reply("opening the network")
        return RemoteSession(self, described.kind, json.loads(reply)["load_ms"])

    def ask(self, doing: str, request: bytes) -> bytes:
        """Return the session's answer to a request.

        Raises:
            SessionError: it cannot do it, or died of it.
            LostError: the board answers no more.
        """
        self.call(doing, "send", request)
        return self.reply(doing)

    def reply(self, doing: str) -> bytes:
        """Return the session's answer to what it was asked before."""
        end = time.monotonic() + CASE_S
        while time.monotonic() < end:
            message = bytes(self.call(doing, "receive", _POLL_S))
            if message:
                try:
                    return wire.answer(message)
                except wire.SessionError as error:
                    raise wire.SessionError(f"board {self.name} ({doing}): {error}") from None
        raise wire.SessionError(
            f"board {self.name} ({doing}): no answer within {CASE_S:.0f} s, though it lives"
        )

    def close(self) -> None:
        """Hang up."""
        self.rpc_session = None  # TVM hangs up with its last reference
        self._at_end()


class RemoteSession:
    """It is a session on a served board; see `Session`."""

    def __init__(self, board: ServedBoard, kind: str, load_ms: float) -> None:
        self.load_ms = load_ms
        self._board = board
        self._kind = kind

    def infer(self, images: FloatArray) -> FloatArray:
        """Map images `(N, 3, H, W)` to embeddings `(N, E)`, on the board."""
        reply = self._board.ask("inferring", wire.images_request("infer", images))
        embeddings: FloatArray = np.frombuffer(reply, "<f4").reshape(len(images), -1)
        return embeddings

    def sample(self, images: FloatArray, budget: Budget) -> Samples:
        """Time inferences of one batch `(N, 3, H, W)` in ms, by the board's clock."""
        if self._kind == "emulated":
            raise RefusedError(
                "an emulator's time says nothing of ARM: measure latency on a board, or ask "
                "an emulated device for instructions"
            )
        budgeted = (budget.warmup_s, budget.sampling_s, budget.processes, int(budget.pin))
        request = wire.images_request("sample", images, *budgeted)
        return convert(parse_json(self._board.ask("sampling", request)), Samples)

    def footprint(self) -> tuple[Footprint, str]:
        """Return the session's footprint; of a board served before there were any, nothing."""
        try:
            reply = self._board.ask("asking what it took", wire.request(["footprint"]))
        except wire.SessionError:
            return Footprint(), "the facebench that serves this board tells nothing of energy"
        said = parse_json(reply)
        no_energy: str = said.pop(NO_ENERGY)
        return convert(said, Footprint), no_energy

    def count(self, images: FloatArray) -> bytes:
        """Count one inference of a batch `(N, 3, H, W)`, packed by `emulator.counters.pack`."""
        if self._kind != "emulated":
            raise RefusedError(
                "instructions are counted on an emulated device: --device emulated:CORE"
            )
        maps = self._board.ask("counting", wire.images_request("count", images)).decode()
        regions = bytes(self._board.call("fetching the counters", "counters"))
        return counters.pack(maps, json.loads(unpacked(regions, self._board.name)))

    def environment(self) -> dict[str, Any]:
        """Return the session's environment; of an emulated one, the machine that emulates it."""
        if self._kind == "emulated":
            return self._board.describe().environment
        said: dict[str, Any] = json.loads(
            self._board.ask("asking for the environment", wire.request(["environment"]))
        )
        return said

    def close(self) -> None:
        """End the session and hang up."""
        self._board.close()


def unpacked(packed: bytes, name: str) -> bytes:
    """Return what a board compressed, of `_LARGEST` bytes at most.

    Raises:
        LostError: it is damaged, or more than that.
    """
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(packed, _LARGEST)
    except zlib.error as error:
        raise LostError(f"board {name}: its counters are damaged ({error})") from error
    if not stream.eof:
        raise LostError(f"board {name}: its counters are cut off, or over {_LARGEST:,} bytes")
    return data


def _require_version(name: str, protocol: int, served: str) -> None:
    here = version("facebench")
    if (protocol, served) != (PROTOCOL, here):
        raise UnavailableError(
            f"board {name} serves facebench {served} (protocol {protocol}) and this is {here} "
            f"(protocol {PROTOCOL}): install the same version on both and serve again"
        )


def _pack(artifact: Path) -> bytes:
    """Return a file or folder as a tar archive."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(artifact, artifact.name)
    return packed.getvalue()
