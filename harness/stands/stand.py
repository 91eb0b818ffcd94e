"""The protocol of stands, and the one in this process."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from architectures.errors import RefusedError
from harness.export import FloatArray
from harness.runtimes.registry import RUNTIMES, Session
from harness.timing import busy, environment, heat, pinning, reference, sampler
from harness.timing.conditions import Conditions
from harness.timing.sampler import Budget, Samples, sample

# Waited at most, in seconds, for heat of the case before to go, and for a moment of quiet.
_COOL_S = 60.0
_QUIET_S = 1.0


class Stand(Protocol):
    """One artifact open in one runtime on a device.

    Attributes:
        load_ms: from the artifact on disk to a session that can infer, by the device's clock.
    """

    load_ms: float

    def infer(self, images: FloatArray) -> FloatArray:
        """Images (N, 3, H, W) to embeddings (N, E); N is the batch it was made for."""
        ...

    def sample(self, images: FloatArray, budget: Budget) -> Samples:
        """Time inferences of one batch, by the device's clock.

        Raises:
            RefusedError: the device's time says nothing.
        """
        ...

    def count(self, images: FloatArray) -> bytes:
        """Count what one inference of one batch executes; see `emulation.counters`.

        Raises:
            RefusedError: the device counts nothing.
        """
        ...

    def environment(self) -> dict[str, Any]:
        """The device and its versions, as `timing.environment.capture` says them."""
        ...

    def close(self) -> None:
        """Give the device back."""
        ...


class StandHere:
    """A stand in this process."""

    def __init__(self, runtime: str, path: Path, threads: int) -> None:
        start = time.perf_counter()
        self._session: Session = RUNTIMES[runtime].open(path, threads)
        self._threads = threads
        self._images: FloatArray | None = None
        self.load_ms = (time.perf_counter() - start) * 1e3

    def infer(self, images: FloatArray) -> FloatArray:
        """As in `Stand`."""
        return self._session(images)

    def sample(self, images: FloatArray, budget: Budget) -> Samples:
        """As in `Stand`, once the machine is cool and quiet."""
        heat.cool_down(_COOL_S)
        with pinning.pinned(self._threads if budget.pin else 0) as cpus:
            waited = busy.wait_for_quiet(self._threads, _QUIET_S)
            before = busy.look()
            taken = sample(lambda: self._session(images), budget)
            during = busy.between(before, busy.look())
        return replace(taken, conditions=Conditions(cpus, waited, during))

    def warm_up(self, images: FloatArray, seconds: float) -> dict[str, Any]:
        """Infer one batch until times agree; turns are taken with it from then on."""
        self._images = images
        times, settled = sampler.warm_up(lambda: self._session(images), seconds)
        return {"warmup_ms": times, "settled": settled}

    def turn(self, count: int) -> dict[str, Any]:
        """Time so many inferences, after one that fills the caches.

        Raises:
            ValueError: it was not warmed up.
        """
        images = self._images
        if images is None:
            raise ValueError("a turn comes after a warm-up")
        before = reference.time_us()
        self._session(images)
        samples = [sampler.timed_ms(lambda: self._session(images)) for _ in range(count)]
        return {"samples_ms": samples, "reference_us": before}

    def count(self, images: FloatArray) -> bytes:
        """Always refused: a processor's own counters are not read."""
        raise RefusedError("instructions are counted on an emulated device: --device emulated:CORE")

    def environment(self) -> dict[str, Any]:
        """As in `Stand`."""
        return environment.capture()

    def close(self) -> None:
        """Nothing to give back."""
