"""Provides a session in a process of its own: requests on standard input, replies on standard
output.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

import numpy as np

from facebench.architectures.errors import FacebenchError
from facebench.harness.machine.die_with_parent import die_with_parent
from facebench.harness.machine.energy import NO_ENERGY
from facebench.harness.runtimes import wire
from facebench.harness.runtimes.session import LocalSession
from facebench.harness.stats.arrays import FloatArray
from facebench.harness.timing.sampler import Budget

# A system call that there is none of: our emulator's plugin sees it and counts between marks.
_MARK = 4077
_RESET, _START, _STOP = 0, 1, 2


def main() -> None:
    """Serve until the input ends."""
    die_with_parent()
    # Libraries print to standard output as they like; replies must be alone there.
    with os.fdopen(os.dup(1), "wb") as output:
        os.dup2(2, 1)
        serve(sys.stdin.buffer, output)


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer request after request."""
    session: LocalSession | None = None
    while (message := wire.read(requests)) is not None:
        words, payload = message
        try:
            if words[0] == "open":
                session = LocalSession(words[1], Path(payload.decode()), int(words[2]))
                answer = json.dumps({"load_ms": session.load_ms}).encode()
            elif session is None:
                raise ValueError("nothing is open yet")
            else:
                answer = _answer(session, words, payload)
        except FacebenchError as error:
            replies.write(wire.error(str(error)))
        except Exception as error:  # a runtime's defect must be told, whatever it is
            replies.write(wire.error(f"{type(error).__name__}: {error}"))
        else:
            replies.write(wire.reply(answer))
        replies.flush()


def _answer(session: LocalSession, words: list[str], payload: bytes) -> bytes:
    verb, *rest = words
    if verb == "environment":
        return json.dumps(session.environment()).encode()
    if verb == "turn":
        return json.dumps(session.turn(int(rest[0]))).encode()
    if verb == "footprint":
        footprint, no_energy = session.footprint()
        return json.dumps(asdict(footprint) | {NO_ENERGY: no_energy}).encode()
    images = wire.images_of(rest[:4], payload)
    if verb == "infer":
        return np.ascontiguousarray(session.infer(images), "<f4").tobytes()
    if verb == "sample":
        warmup_s, sampling_s, processes, pin = rest[4:8]
        budget = Budget(
            float(warmup_s), float(sampling_s), processes=int(processes), pin=pin == "1"
        )
        return json.dumps(asdict(session.sample(images, budget))).encode()
    if verb == "warm":
        return json.dumps(session.warm_up(images, float(rest[4]))).encode()
    if verb == "count":
        return _count(session, images)
    raise ValueError(f"a session does not know {verb!r}")


def _count(session: LocalSession, images: FloatArray) -> bytes:
    """Mark no inference, then one: their difference is one without what surrounds it."""
    mark = ctypes.CDLL(None).syscall
    gc.disable()  # it would come at some point of some inference
    mark(_MARK, _RESET)
    session.infer(images)
    for inferences in (0, 1):
        mark(_MARK, _START)
        for _ in range(inferences):
            session.infer(images)
        mark(_MARK, _STOP)
    return Path("/proc/self/maps").read_bytes()


if __name__ == "__main__":
    main()
