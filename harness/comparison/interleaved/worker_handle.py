"""A process that has one artifact open and infers when it is its turn."""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass
from typing import Self

from facebench.architectures.errors import UnavailableError
from facebench.harness.comparison.interleaved.prepared_case import PreparedCase
from facebench.harness.machine import pinning
from facebench.harness.runtimes import wire

# A reply that takes longer never comes.
_LIMIT_S = 300.0


@dataclass(frozen=True)
class Turn:
    """It is what one turn gave.

    Attributes:
        samples_ms: wall times of successive inferences.
        reference_us: of the reference kernel, just before them.
    """

    samples_ms: tuple[float, ...]
    reference_us: float


class WorkerHandle:
    """It starts the process and speaks with it; every method waits for its reply.

    All of them raise `UnavailableError` where the process ends, hangs or cannot do
    what it is asked.
    """

    def __init__(self, prepared: PreparedCase) -> None:
        self._prepared = prepared
        self._name = f"{prepared.case} in {prepared.environment.name}"
        environment = prepared.environment
        self._process = environment.start(environment.layout.session, prepared.case.threads)
        self.load_ms = 0.0
        self.warmup_ms: tuple[float, ...] = ()
        self.settled = False

    def ask_to_open(self) -> None:
        """Have the artifact opened; `opened` waits for it, so that all start at the same time."""
        case = self._prepared.case
        path = str(self._prepared.artifact).encode()
        self._process.send(wire.request(["open", case.runtime, str(case.threads)], path))

    def opened(self) -> None:
        """Wait until the artifact is open."""
        self.load_ms = json.loads(self._receive())["load_ms"]

    def warm_up(self, cpus: set[int], seconds: float) -> None:
        """Put the process on some CPUs, where there are any, and infer until times agree."""
        if cpus:
            pinning.move(self._process.pid, cpus)
        self._process.send(wire.images_request("warm", self._prepared.images, seconds))
        reply = json.loads(self._receive())
        self.warmup_ms = tuple(reply["warmup_ms"])
        self.settled = reply["settled"]
        self.rest()

    def turn(self, count: int) -> Turn:
        """Time so many inferences, after one that is not timed: others had the caches meanwhile."""
        self._process.signal(signal.SIGCONT)
        self._process.send(wire.request(["turn", str(count)]))
        reply = json.loads(self._receive())
        self.rest()
        return Turn(tuple(reply["samples_ms"]), reply["reference_us"])

    def rest(self) -> None:
        """Stop the process until its next turn: threads that wait by spinning would disturb."""
        self._process.signal(signal.SIGSTOP)

    def close(self) -> None:
        """End the process."""
        self._process.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _receive(self) -> bytes:
        try:
            with self._process.limit(_LIMIT_S):
                message = wire.read(self._process.output)
        except ValueError as error:
            raise UnavailableError(f"{self._name}: {error}") from error
        if message is None:
            raise UnavailableError(f"{self._name}: its process {self._process.ended()}")
        words, payload = message
        if words[0] != "ok":
            raise UnavailableError(f"{self._name}: {payload.decode(errors='replace')}")
        return payload
