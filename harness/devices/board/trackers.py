"""Asks TVM's tracker, in its protocol: a length and JSON, over TCP; see `tvm.rpc.tracker`.

TVM's own client waits for ever where this one gives up.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from facebench.architectures.errors import BadInputError, UnavailableError
from facebench.harness.storage.serialization import convert, parse_json

T = TypeVar("T")

_MAGIC = struct.pack("<i", 0x2F271)
_SUCCESS, _REQUEST, _SUMMARY = 0, 4, 6
_LARGEST = 2**20

# Seconds for an answer; and for a board that others have to come free.
_ANSWER_S = 10.0
_FREE_S = 600.0


@dataclass(frozen=True)
class Match:
    """It is a board that the tracker gives to whoever connects with `key` first."""

    host: str
    port: int
    key: str


@dataclass(frozen=True)
class _Board:
    key: str


@dataclass(frozen=True)
class _Summary:
    server_info: tuple[_Board, ...]


def boards(host: str, port: int) -> Counter[str]:
    """Return how many boards are registered under each key.

    Raises:
        UnavailableError: there is no tracker.
    """
    with _connected(host, port) as tracker:
        summary = _ask(tracker, [_SUMMARY], _Summary)
    return Counter(board.key.removeprefix("server:") for board in summary.server_info)


def request(host: str, port: int, key: str) -> Match:
    """Return a board of a key, as soon as one is free.

    Raises:
        UnavailableError: there is no tracker, or none of its boards has this key,
            or none comes free.
    """
    registered = boards(host, port)
    if key not in registered:
        known = ", ".join(sorted(registered)) or "none"
        raise UnavailableError(
            f"tracker {host}:{port} has no board of key {key!r} (keys: {known}); start one with "
            f"'facebench device serve --tracker {host}:{port} --key {key}'"
        )
    with _connected(host, port) as tracker:
        tracker.settimeout(_FREE_S)
        try:
            address, at, match = _ask(tracker, [_REQUEST, key, "", 1], tuple[str, int, str])
        except TimeoutError:
            raise UnavailableError(
                f"no board of key {key!r} came free on tracker {host}:{port} within "
                f"{_FREE_S:.0f} s; add boards or run less at once"
            ) from None
    return Match(address, at, match)


@contextlib.contextmanager
def _connected(host: str, port: int) -> Iterator[socket.socket]:
    try:
        with socket.create_connection((host, port), _ANSWER_S) as tracker:
            tracker.sendall(_MAGIC)
            if _exactly(tracker, 4) != _MAGIC:
                raise ValueError("something else listens there")
            yield tracker
    except (OSError, ValueError) as error:
        raise UnavailableError(
            f"there is no tracker at {host}:{port} ({error}): start one with "
            "'facebench device tracker'"
        ) from error


def _ask(tracker: socket.socket, question: list[Any], kind: type[T]) -> T:
    text = json.dumps(question).encode()
    tracker.sendall(struct.pack("<i", len(text)) + text)
    (length,) = struct.unpack("<i", _exactly(tracker, 4))
    if not 0 < length <= _LARGEST:
        raise ValueError("it does not speak as a tracker")
    try:
        code, answer = convert(parse_json(_exactly(tracker, length)), tuple[int, Any])
        if code == _SUCCESS:
            return convert(answer, kind, extra=True)
    except BadInputError as error:
        raise ValueError(f"it does not speak as a tracker: {error}") from error
    raise ValueError(f"it refuses: {answer!r:.200}")


def _exactly(stream: socket.socket, length: int) -> bytes:
    received = b""
    while len(received) < length:
        more = stream.recv(length - len(received))
        if not more:
            raise ConnectionResetError("it hung up")
        received += more
    return received
