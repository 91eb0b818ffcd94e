"""Provides a session in a process of its own: requests on standard input, replies on standard
output.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from facebench.harness.machine.energy import NO_ENERGY
from facebench.harness.runtimes import serving, wire
from facebench.harness.runtimes.session import LocalSession
from facebench.harness.timing.sampler import Budget


class Answering:
    """It answers what is asked of a session, once one is open."""

    def __init__(self) -> None:
        self._session: LocalSession | None = None

    def answer(self, words: list[str], payload: bytes) -> bytes:
        """Answer a request.

        Raises:
            ValueError: nothing is open yet, or there is no such request.
        """
        if words[0] == "open":
            self._session = LocalSession(words[1], Path(payload.decode()), int(words[2]))
            return json.dumps({"load_ms": self._session.load_ms}).encode()
        if self._session is None:
            raise ValueError("nothing is open yet")
        return _answer(self._session, words, payload)


def main() -> None:
    """Serve until the input ends."""
    serving.run(Answering().answer)


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
    raise ValueError(f"a session does not know {verb!r}")


if __name__ == "__main__":
    main()
