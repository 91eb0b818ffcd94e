"""Takes samples of a callable: warm-up until stable, then this process's share of them."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from facebench.harness.machine import heat, reference, working_threads
from facebench.harness.machine.conditions import Conditions
from facebench.harness.machine.energy import Meter
from facebench.harness.machine.resident import grown_bytes, resident_bytes

# Of all processes of a case together.
MINIMUM_SAMPLES = 64

# A warm-up is over when two successive windows of inferences agree.
WINDOW = 5
_AGREEMENT = 0.02

# Seconds between looks at the machine's speed.
_LOOK_S = 0.1


@dataclass(frozen=True)
class Budget:
    """It says how much of a case is sampled. The minimum count of samples is always kept.

    Attributes:
        warmup_s: longest warm-up of a process, in seconds.
        sampling_s: samples are taken for this long by the first `processes` together, in seconds.
        processes: that take samples at least; twice as many do at most. Of one alone the
            spread between processes is not known, so one stays one.
        known_to: no further process is started once the 95 % interval of the median is this
            narrow, as a share of it.
        ahead: that were to take samples before the other cases' did, for a first report; as
            many take them in turns with the others.
        longest_s: nor once those before took this long, start and warm-up included.
        pin: whether a process is kept on as many CPUs as it has threads.
    """

    warmup_s: float = 2.0
    sampling_s: float = 1.0
    processes: int = 1
    known_to: float = 0.02
    ahead: int = 0
    longest_s: float = 60.0
    pin: bool = True

    @property
    def most_processes(self) -> int:
        """Return how many processes are started at most."""
        return 1 if self.processes == 1 else 2 * self.processes

    @property
    def share_s(self) -> float:
        """Return the seconds in which one process takes samples."""
        return self.sampling_s / self.processes

    @property
    def share_of_samples(self) -> int:
        """Return how many samples one process takes at least."""
        return math.ceil(MINIMUM_SAMPLES / self.processes)


@dataclass(frozen=True)
class Samples:
    """It holds wall times in milliseconds, in the order in which they were taken.

    `stable` says whether the warm-up settled; `reference_us` are times of the
    reference kernel before, between and after the samples, and `fastest_us` is its
    fastest on that machine, 0 where it is not known; `throttled` says how the
    machine's heat slowed it, and is empty where nothing shows that. `heat` is what
    could be read of clocks and temperatures before and after, see `heat.ThermalState`.
    `conditions` is None where the machine is not ours to look at. `grown_bytes` is what
    the process's memory grew by from the first sample to the last; None where that is not known.
    `working_threads` is how many of its threads worked meanwhile; None likewise.
    """

    warmup_ms: tuple[float, ...]
    samples_ms: tuple[float, ...]
    stable: bool
    reference_us: tuple[float, ...] = ()
    fastest_us: float = 0.0
    throttled: str = ""
    heat: tuple[dict[str, Any], ...] = ()
    conditions: Conditions | None = None
    grown_bytes: int | None = None
    working_threads: int | None = None


def sample(infer: Callable[[], object], budget: Budget, meter: Meter | None = None) -> Samples:
    """Time `infer` call by call with a monotonic clock.

    Warm-up ends when the medians of two successive windows of five agree to
    2 %, or when its budget is spent; `stable` says which. The meter is read when that
    is over, and again after the last sample.
    """
    warmup, stable = warm_up(infer, budget.warmup_s)
    samples: list[float] = []
    references = [reference.time_us()]
    states = [heat.capture()]
    before = resident_bytes()
    if meter is not None:
        meter.start()
    threads = working_threads.cpu_seconds()
    began = looked = time.perf_counter()
    end = looked + budget.share_s
    while len(samples) < budget.share_of_samples or time.perf_counter() < end:
        samples.append(timed_ms(infer))
        if time.perf_counter() > looked + _LOOK_S:
            references.append(reference.time_us())
            states.append(heat.capture())
            looked = time.perf_counter()
    took_s = time.perf_counter() - began
    worked = working_threads.worked(threads, working_threads.cpu_seconds(), took_s)
    grown = grown_bytes(before, resident_bytes())
    if meter is not None:
        meter.stop(len(samples))
    references.append(reference.time_us())
    first, *between, last = *states, heat.capture()
    return Samples(
        tuple(warmup),
        tuple(samples),
        stable,
        tuple(references),
        reference.fastest_us(*references),
        heat.throttled(first, last, between),
        (first.to_json(), last.to_json()),
        grown_bytes=grown,
        working_threads=worked,
    )


def warm_up(infer: Callable[[], object], seconds: float) -> tuple[list[float], bool]:
    """Infer until times agree, for so many seconds at most: the times, and whether they agree."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while True:
        times.append(timed_ms(infer))
        if settled(times):
            return times, True
        if time.perf_counter() > end:
            return times, False


def settled(times: list[float]) -> bool:
    """Return whether the medians of the last two windows agree."""
    if len(times) < 2 * WINDOW:
        return False
    before = statistics.median(times[-2 * WINDOW : -WINDOW])
    now = statistics.median(times[-WINDOW:])
    return abs(now - before) <= _AGREEMENT * before


def timed_ms(infer: Callable[[], object]) -> float:
    """Return the wall time of one call, in milliseconds."""
    start = time.perf_counter_ns()
    infer()
    return (time.perf_counter_ns() - start) / 1e6
