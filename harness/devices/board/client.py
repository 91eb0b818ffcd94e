"""Connects to a board that `facebench device serve` serves, and opens sessions there."""

from __future__ import annotations

import io
import json
import math
import tarfile
import time
import zlib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from facebench.architectures.errors import (
    BadInputError,
    LostError,
    RefusedError,
    UnavailableError,
)
from facebench.harness.devices.board.description import Description, require
from facebench.harness.devices.board.device import Board
from facebench.harness.devices.board.dialling import dial
from facebench.harness.devices.board.served_client import PROTOCOL
from facebench.harness.devices.board.watchdog import shown, watched
from facebench.harness.devices.emulator import counters
from facebench.harness.machine.energy import NO_ENERGY
from facebench.harness.machine.footprint import Footprint
from facebench.harness.runtimes import wire
from facebench.harness.runtimes.session import Session
from facebench.harness.stats.arrays import FloatArray
from facebench.harness.storage.serialization import convert, parse_json
from facebench.harness.timing.sampler import Budget, Samples

T = TypeVar("T")

_NO_ANSWER = "what it says is no answer of facebench's"

# Longest answer of a session, in seconds; it is asked for every two, so that a
# silent board is noticed before.
CASE_S = 600.0
_POLL_S = 2.0

# A relay whose connection has ended has so many seconds to go.
_GO_S = 2.0

# Bytes of a count's regions, unpacked: those of the largest network are a tenth of that.
_LARGEST = 256 * 2**20

# Bytes of an artifact in a call: a slow network carries them within `watchdog.LOST_S`.
_CHUNK = 2**21


def connect(
    host: str,
    port: int | None,
    key: str = "",
    name: str = "",
    at_end: Callable[[], object] = lambda: None,
) -> Board:
    """Connect to a board; only for processes of their own, see `watchdog.watched`.

    Args:
        host: where it is, or, where `port` is None, the path of a Unix socket that leads there.
        key: what the board was served with.
        name: for messages; the address by default.
        at_end: called after the connection is closed.

    Raises:
        UnavailableError: no board listens there, or one of another version.
    """
    from facebench.harness.devices.board.plain import PlainBoard

    name = name or f"{host}:{port}"
    rpc_session, relay = dial(host, port, key, name)

    def end() -> None:
        relay.ended(_GO_S)
        relay.close()
        at_end()

    try:
        with watched(name, "asking what it serves"):
            try:
                rpc_session.get_function("facebench.describe")
            except AttributeError:
                return PlainBoard(rpc_session, name, end)
    except LostError:
        relay.close()
        raise
    return ServedBoard(rpc_session, name, end)


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

    def said(self, doing: str, function: str, *arguments: Any) -> bytes:
        """Call one of the functions that answer with a text or bytes.

        Raises:
            LostError: it answers with something else.
        """
        answer = self.call(doing, function, *arguments)
        if isinstance(answer, str):
            return answer.encode(errors="replace")
        if not isinstance(answer, bytes):
            raise LostError(f"board {self.name} was lost ({doing}): {_NO_ANSWER}")
        return answer

    def told(self, text: bytes, kind: type[T]) -> T:
        """Return what a text of the board's holds as JSON.

        Raises:
            LostError: it holds something else.
        """
        try:
            return convert(parse_json(text), kind)
        except BadInputError as error:
            raise LostError(f"board {self.name} was lost: {_NO_ANSWER} ({error})") from error

    def describe(self) -> Description:
        """Return the board's description, asked for once.

        Raises:
            UnavailableError: it serves another version of facebench.
        """
        if self._described is None:
            said = self.told(self.said("asking what it is", "describe"), dict[str, Any])
            _require_version(self.name, said.pop("protocol", 0), said.pop("facebench", ""))
            self._described = self.told(json.dumps(said).encode(), Description)
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
        refusal = self.said(
            "opening the network", "open", runtime, artifact.name, threads, counting
        )
        if refusal:
            raise UnavailableError(f"board {self.name}: {shown(refusal.decode(errors='replace'))}")
        loaded = self.told(self.reply("opening the network"), dict[str, float])
        return RemoteSession(self, described.kind, loaded.get("load_ms", math.nan))

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
            message = self.said(doing, "receive", _POLL_S)
            if message:
                try:
                    return wire.answer(message)
                except wire.SessionError as error:
                    said = shown(str(error))
                    raise wire.SessionError(f"board {self.name} ({doing}): {said}") from None
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
        try:
            embeddings: FloatArray = np.frombuffer(reply, "<f4").reshape(len(images), -1)
        except ValueError as error:
            raise LostError(f"board {self._board.name} was lost: {_NO_ANSWER} ({error})") from error
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
        return self._board.told(self._board.ask("sampling", request), Samples)

    def footprint(self) -> tuple[Footprint, str]:
        """Return the session's footprint; of a board served before there were any, nothing."""
        try:
            reply = self._board.ask("asking what it took", wire.request(["footprint"]))
        except wire.SessionError:
            return Footprint(), "the facebench that serves this board tells nothing of energy"
        said = self._board.told(reply, dict[str, Any])
        no_energy = str(said.pop(NO_ENERGY, ""))
        return self._board.told(json.dumps(said).encode(), Footprint), no_energy

    def count(self, images: FloatArray) -> bytes:
        """Count one inference of a batch `(N, 3, H, W)`, packed by `emulator.counters.pack`."""
        if self._kind != "emulated":
            raise RefusedError(
                "instructions are counted on an emulated device: --device emulated:CORE"
            )
        maps = self._board.ask("counting", wire.images_request("count", images))
        regions = unpacked(self._board.said("fetching the counters", "counters"), self._board.name)
        texts = self._board.told(regions, list[str])
        return counters.pack(maps.decode(errors="replace"), texts)

    def environment(self) -> dict[str, Any]:
        """Return the session's environment; of an emulated one, the machine that emulates it."""
        if self._kind == "emulated":
            return self._board.describe().environment
        reply = self._board.ask("asking for the environment", wire.request(["environment"]))
        return self._board.told(reply, dict[str, Any])

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


def _require_version(name: str, protocol: Any, served: Any) -> None:
    here = version("facebench")
    if (protocol, served) != (PROTOCOL, here):
        raise UnavailableError(
            f"board {name} serves facebench {served!s:.40} (protocol {protocol!s:.20}) and this is "
            f"{here} (protocol {PROTOCOL}): install the same version on both and serve again"
        )


def _pack(artifact: Path) -> bytes:
    """Return a file or folder as a tar archive."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(artifact, artifact.name)
    return packed.getvalue()
