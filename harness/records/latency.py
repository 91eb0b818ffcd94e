"""Defines the wall times of single inferences, with the processes that gave them."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

from facebench.harness.machine.conditions import Conditions
from facebench.harness.machine.footprint import Footprint
from facebench.harness.records.peak import Peak
from facebench.harness.records.results import Result
from facebench.harness.stats.intervals import median_interval, quantile, two_level_interval


@dataclass(frozen=True)
class Process:
    """It is what is known of a process that gave times, beside the times.

    Attributes:
        load_ms: from the artifact on disk to a session that can infer, the import of the
            runtime's package included.
        warmups: how many of `Latency.warmup_ms` are its own.
        references: how many of `Latency.reference_us` are its own.
        settled: whether its warm-up ended because times agreed.
        fastest_us: the reference kernel's fastest on that machine; 0 where it is not known.
        throttled: how heat slowed the machine; empty where nothing shows that.
        conditions: what else ran there; None where the machine does not show it.
        grown_bytes: of its memory, from its first sample to its last; None where that is not
            known, as in records before schema 6.
        footprint: its start, memory and energy; None in records before schema 6.
        working_threads: how many of its threads worked while it was sampled; None where that is
            not known, as in records before schema 10.
    """

    load_ms: float
    warmups: int
    references: int
    settled: bool
    fastest_us: float = 0.0
    throttled: str = ""
    conditions: Conditions | None = None
    grown_bytes: int | None = None
    footprint: Footprint | None = None
    working_threads: int | None = None


@dataclass(frozen=True)
class Latency(Result):
    """It is the wall time of single inferences, in milliseconds.

    Attributes:
        samples_ms: every sample after warm-up, in order.
        warmup_ms: the inferences before them, after those that the answer was checked by.
        load_ms: from the artifact on disk to a session that can infer; of several processes,
            the median.
        output_error: largest difference from torch's outputs, relative to their largest element.
        label: how the code came about where that limits what may be said of
            the time; `untuned` code is shown with that word and never ranked.
        reference_us: times of a fixed kernel before, between and after the
            samples, in microseconds; where they rise, something else slowed the machine.
        peak: what the machine reached in that run with as many threads; None where it was
            not measured, as in records before schema 4.
        processes: how many of `samples_ms` each process gave, in order; empty where one
            process gave them all, as in records before schema 5.
        process_facts: of each process, in order; empty in records before schema 5.
        turns: how many of `samples_ms` each turn gave, in order, where the case took turns
            with others; as many turns in each process.
        beside: what the records of cases that took turns with each other have in common.
    """

    samples_ms: tuple[float, ...]
    warmup_ms: tuple[float, ...]
    load_ms: float
    output_error: float
    label: str = ""
    reference_us: tuple[float, ...] = ()
    peak: Peak | None = None
    processes: tuple[int, ...] = ()
    process_facts: tuple[Process, ...] = ()
    turns: tuple[int, ...] = ()
    beside: str = ""

    def __post_init__(self) -> None:
        if self.processes and (
            min(self.processes) < 1 or sum(self.processes) != len(self.samples_ms)
        ):
            raise ValueError(
                f"{len(self.samples_ms)} samples are not those of processes that gave "
                f"{', '.join(map(str, self.processes))}"
            )
        if self.turns and sum(self.turns) != len(self.samples_ms):
            raise ValueError("the samples are not those of the turns")

    @property
    def by_process(self) -> tuple[tuple[float, ...], ...]:
        """Return the samples of each process, in order, in milliseconds."""
        ends = tuple(accumulate(self.processes)) or (len(self.samples_ms),)
        return tuple(self.samples_ms[a:b] for a, b in pairwise((0, *ends)))

    @property
    def turn_medians_ms(self) -> tuple[tuple[float, ...], ...]:
        """Return the median of each turn of each process; empty where it took none."""
        ends = accumulate(self.turns, initial=0)
        medians = [float(np.median(self.samples_ms[a:b])) for a, b in pairwise(ends)]
        each = len(medians) // max(len(self.processes), 1)
        return tuple(tuple(medians[i : i + each]) for i in range(0, len(medians), each or 1))

    @property
    def median_ms(self) -> float:
        """Return the median of the samples."""
        return float(np.median(self.samples_ms))

    @property
    def p90_ms(self) -> float | None:
        """Return the 90th percentile; None below 64 samples, which do not support it."""
        return quantile(self.samples_ms, 0.9)

    @property
    def minimum_ms(self) -> float:
        """Return the shortest of the samples."""
        return min(self.samples_ms)

    @property
    def interval_ms(self) -> tuple[float, float]:
        """Return the 95 % interval of the median: see `interval_at`."""
        return self.interval_at(0.95)

    def interval_at(self, confidence: float) -> tuple[float, float]:
        """Return the interval that holds the median with `confidence`, 0 to 1.

        Of several processes the one whose unit is the process; of one alone that of its
        samples, distribution-free, which does not know how much processes differ.
        """
        if len(self.processes) > 1:
            return two_level_interval(self.by_process, confidence)
        return median_interval(self.samples_ms, confidence)

    @property
    def relative_width(self) -> float:
        """Return the width of the interval as a share of the median."""
        lower, upper = self.interval_ms
        return (upper - lower) / self.median_ms

    @property
    def import_ms(self) -> float | None:
        """Return the time to import the runtime: the median of the processes that tell."""
        return self._of_footprints(lambda found: found.import_ms)

    @property
    def open_ms(self) -> float | None:
        """Return the time from the artifact on disk to a ready session, without that import."""
        return self._of_footprints(lambda found: found.open_ms)

    @property
    def first_ms(self) -> float | None:
        """Return the time of the first inference of a process."""
        return self._of_footprints(lambda found: found.first_ms)

    @property
    def peak_bytes(self) -> float | None:
        """Return the most bytes that were resident of a process that infers."""
        return self._of_footprints(
            lambda found: found.memory.sampled_bytes if found.memory else None
        )

    @property
    def added_bytes(self) -> float | None:
        """Return the most bytes beyond what the process had before it opened the artifact."""
        return self._of_footprints(lambda found: found.memory.added_bytes if found.memory else None)

    @property
    def joules(self) -> float | None:
        """Return the energy of an inference, by the counters of whole CPU packages."""
        return self._of_footprints(
            lambda found: found.energy.joules_an_inference if found.energy else None
        )

    @property
    def net_joules(self) -> float | None:
        """Return the energy of an inference beyond what the packages took at rest."""
        return self._of_footprints(
            lambda found: found.energy.net_joules_an_inference if found.energy else None
        )

    def _of_footprints(self, figure: Callable[[Footprint], float | None]) -> float | None:
        footprints = [process.footprint for process in self.process_facts if process.footprint]
        known = [value for one in footprints if (value := figure(one)) is not None]
        return statistics.median(known) if known else None
