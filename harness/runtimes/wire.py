"""Encodes what a session's process is asked and answers, as bytes.

A request is a line of words, the last of them the length of the payload that
follows it; a reply is `ok LENGTH` or `error LENGTH`, a line feed, and the payload:

    open RUNTIME THREADS 24     payload: the artifact's path; reply: {"load_ms": 1.5}
    infer N C H W 602112        payload: float32 images; reply: float32 embeddings
    sample N C H W WARMUP_S SAMPLING_S PROCESSES PIN 602112    reply: samples, as JSON
    warm N C H W SECONDS 602112    infer until times agree; reply: the times, as JSON
    turn COUNT 0                times of so many inferences of the batch that it warmed up with
    count N C H W 602112        reply: the process's memory map
    kernels N C H W BYTES 602112    reply: the output; each kernel is counted by itself,
                                after BYTES were read that empty the caches
    environment 0               reply: the environment, as JSON
    footprint 0                 reply: what it took beside time, as JSON; a session that does not
                                know the word answers with an error, and nothing is known

So simple that a session can be written in C. The numbers are little-endian.
"""

from __future__ import annotations

from typing import IO

import numpy as np

from facebench.architectures.errors import FacebenchError
from facebench.harness.stats.arrays import FloatArray

# Images of a batch, or a path; a line that asks for more is no request of ours.
_LARGEST = 2**31


class SessionError(FacebenchError):
    """A session could not do what it was asked, and answers why."""


def request(words: list[str], payload: bytes = b"") -> bytes:
    """Return a request as bytes.

    Example:
        >>> request(["open", "ncnn", "1"], b"/tmp/network")
        b'open ncnn 1 12\\n/tmp/network'
    """
    return " ".join([*words, str(len(payload))]).encode() + b"\n" + payload


def images_request(verb: str, images: FloatArray, *more: float) -> bytes:
    """Return a request about images (N, C, H, W)."""
    words = [verb, *map(str, images.shape), *map(str, more)]
    return request(words, np.ascontiguousarray(images, "<f4").tobytes())


def read(stream: IO[bytes]) -> tuple[list[str], bytes] | None:
    """Return the next request or reply; None at the end of the stream.

    Raises:
        ValueError: what comes is neither.
    """
    line = stream.readline(4096)
    if not line:
        return None
    words = line.decode("ascii", errors="replace").split()
    if len(words) < 2 or not words[-1].isdecimal() or int(words[-1]) > _LARGEST:
        raise ValueError(f"not a message of a session: {line[:80]!r}")
    length = int(words.pop())
    payload = stream.read(length)
    if len(payload) != length:
        return None
    return words, payload


def images_of(shape: list[str], payload: bytes) -> FloatArray:
    """Return images (N, C, H, W) of a request.

    Raises:
        ValueError: the payload does not have that shape.
    """
    images: FloatArray = np.frombuffer(payload, "<f4").reshape([int(n) for n in shape])
    return images


def reply(payload: bytes) -> bytes:
    """Return what was asked for."""
    return b"ok %d\n" % len(payload) + payload


def error(sentence: str) -> bytes:
    """Return why it cannot be had."""
    payload = sentence.encode()
    return b"error %d\n" % len(payload) + payload


def answer(message: bytes) -> bytes:
    """Return the payload of a reply.

    Raises:
        SessionError: it is an error; its sentence is the message.
    """
    line, _, payload = message.partition(b"\n")
    if line.startswith(b"ok "):
        return payload
    raise SessionError(payload.decode(errors="replace") or "the session gave no reason")
