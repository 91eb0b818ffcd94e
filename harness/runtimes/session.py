"""Defines the protocol of sessions, and the one in this process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from facebench.architectures.errors import RefusedError
from facebench.harness.machine import (
    busy,
    environment,
    fork_server,
    heat,
    memory,
    pinning,
    reference,
)
from facebench.harness.machine.conditions import Conditions
from facebench.harness.machine.energy import Meter
from facebench.harness.machine.footprint import Footprint
from facebench.harness.machine.memory import Memory
from facebench.harness.runtimes.registry import RUNTIMES, Infer
from facebench.harness.stats.arrays import FloatArray
from facebench.harness.timing import sampler
from facebench.harness.timing.sampler import Budget, Samples, sample

# Waited at most, in seconds, for heat of the case before to go, and for a moment of quiet.
_COOL_S = 60.0
_QUIET_S = 1.0


class Session(Protocol):
    """A session is one artifact open in one runtime on a device.

    Attributes:
        load_ms: from the artifact on disk to a session that can infer, by the device's clock;
            the import of the runtime's package included.
    """

    load_ms: float

    def infer(self, images: FloatArray) -> FloatArray:
        """Map images `(N, 3, H, W)` to embeddings `(N, E)`; N is the batch it was made for."""
        ...

    def sample(self, images: FloatArray, budget: Budget) -> Samples:
        """Time inferences of one batch `(N, 3, H, W)` in ms, by the device's clock.

        Raises:
            RefusedError: the device's time says nothing.
        """
        ...

    def footprint(self) -> tuple[Footprint, str]:
        """Return what it took so far, once it has sampled; and why it knows of no energy, if so."""
        ...

    def count(self, images: FloatArray) -> bytes:
        """Count what one inference of one batch `(N, 3, H, W)` executes; see `emulator.counters`.

        Raises:
            RefusedError: the device counts nothing.
        """
        ...

    def environment(self) -> dict[str, Any]:
        """Return what the device is and its versions, as `machine.environment.capture` does."""
        ...

    def close(self) -> None:
        """Give the device back."""
        ...


class LocalSession:
    """It is a session in this process."""

    def __init__(self, runtime: str, path: Path, threads: int) -> None:
        chosen = RUNTIMES[runtime]
        self._looks = busy.look(), pinning.look()
        # Others tell nothing of a start, nor of memory.
        self._whole = fork_server.as_afresh()
        import_ms = None if chosen.loaded() else _timed_ms(chosen.load)
        memory.begin_anew()
        self._before_bytes = memory.peak_bytes()
        start = time.perf_counter()
        self._infer: Infer = chosen.open(path, threads)
        open_ms = (time.perf_counter() - start) * 1e3
        self.load_ms = (import_ms or 0.0) + open_ms
        self._loaded_bytes = memory.peak_bytes()
        self._threads = threads
        self._images: FloatArray | None = None
        self._first_ms: float | None = None
        self._footprint = Footprint(import_ms, open_ms) if self._whole else Footprint()
        self._no_energy = ""

    def infer(self, images: FloatArray) -> FloatArray:
        """Map images `(N, 3, H, W)` to embeddings `(N, E)`, and time the first inference."""
        if self._first_ms is not None:
            return self._infer(images)
        start = time.perf_counter()
        embeddings = self._infer(images)
        self._first_ms = (time.perf_counter() - start) * 1e3
        return embeddings

    def sample(self, images: FloatArray, budget: Budget) -> Samples:
        """Time inferences of one batch `(N, 3, H, W)` in ms, once the machine is cool and quiet."""
        meter = Meter()
        heat.cool_down(_COOL_S)
        # What the machine did while this session was opened and held against the reference.
        since, cpus_since = self._looks
        with pinning.pinned(self._threads if budget.pin else 0, cpus_since) as cpus:
            waited = busy.wait_for_quiet(self._threads, _QUIET_S, since=since)
            meter.rest()
            before = busy.look()
            taken = sample(lambda: self._infer(images), budget, meter)
            during = busy.between(before, busy.look())
        self._keep(taken, meter)
        return replace(taken, conditions=Conditions(cpus, waited, during))

    def warm_up(self, images: FloatArray, seconds: float) -> dict[str, Any]:
        """Infer one batch `(N, 3, H, W)` until times agree; later turns take it too."""
        self._images = images
        times, settled = sampler.warm_up(lambda: self._infer(images), seconds)
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
        self._infer(images)
        samples = [sampler.timed_ms(lambda: self._infer(images)) for _ in range(count)]
        return {"samples_ms": samples, "reference_us": before}

    def footprint(self) -> tuple[Footprint, str]:
        """Return what it took so far, as in `Session`."""
        return self._footprint, self._no_energy

    def count(self, images: FloatArray) -> bytes:
        """Refuse a batch `(N, 3, H, W)`: this machine's own counters are not read.

        Raises:
            RefusedError: always.
        """
        raise RefusedError("instructions are counted on an emulated device: --device emulated:CORE")

    def environment(self) -> dict[str, Any]:
        """Return what this machine is, as in `Session`."""
        return environment.capture()

    def close(self) -> None:
        """Do nothing: this process holds no device."""

    def _keep(self, taken: Samples, meter: Meter) -> None:
        self._footprint = replace(self._footprint, energy=meter.energy)
        if self._whole:
            peaks = Memory(self._before_bytes, self._loaded_bytes, memory.peak_bytes())
            first = taken.warmup_ms[0] if self._first_ms is None else self._first_ms
            self._footprint = replace(self._footprint, first_ms=first, memory=peaks)
        self._no_energy = meter.why_not


def _timed_ms(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1e3
