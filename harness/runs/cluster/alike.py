"""Checks that machines that are declared identical are so: a calibration case on each.

Times of two machines may stand beside each other only where both take as long for the
same work. Each machine runs the calibration case in several processes; two machines are
taken for alike where the hypothesis that they are `MARGIN` or more apart is rejected, by two
one-sided t tests on the logarithms of the processes' medians (see `comparing.statistics`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from facebench.architectures.errors import UnavailableError
from facebench.harness.measures.job import Job
from facebench.harness.models.networks import resolve
from facebench.harness.records.latency import Latency
from facebench.harness.records.record import Check, Record
from facebench.harness.runs.cluster.timing_machine import timed_on
from facebench.harness.runs.jobs import latency_job
from facebench.harness.stats.procedures import procedure
from facebench.harness.stats.ratios import log_ratio
from facebench.harness.timing.sampler import Budget

# Machines that differ by less are alike: what neighbours do on a quiet machine moves a time
# by a per cent or two.
MARGIN = 0.03
_LEVEL = 0.05

_NETWORK, _RUNTIME = "mobilefacenet", "onnxruntime"
_PROCESSES = 6


@dataclass(frozen=True)
class Likeness:
    """It says how a machine compares with the one that is timed on by default.

    Attributes:
        machine: its name.
        to: the other's.
        ratio: of its times to the other's.
        interval: the ratio's 95 % interval.
        alike: whether it is closer than `MARGIN`.
    """

    machine: str
    to: str
    ratio: float
    interval: tuple[float, float]
    alike: bool

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"{self.machine} takes {self.ratio:.3f} times ({low:.3f} to {high:.3f}) as long as "
            f"{self.to} for the calibration case"
        )


def job() -> Job:
    """Return the calibration case: MobileFaceNet in ONNX Runtime on one thread, a process at a
    time.
    """
    budget = Budget(sampling_s=1.0, processes=1)
    return latency_job(resolve(_NETWORK), _RUNTIME, 1, budget=budget)


def medians(perform: Callable[[Job], Record], calibration: Job) -> list[float]:
    """Return the median of each process of the calibration case on a machine, in milliseconds.

    Raises:
        UnavailableError: one of them went wrong.
        LostError: the machine is gone.
    """
    found = []
    for process in range(_PROCESSES):
        record = perform(replace(calibration, process=process))
        if not isinstance(record.result, Latency):
            raise UnavailableError(f"the calibration case failed: {record.reason}")
        found.append(float(np.median(record.result.samples_ms)))
    return found


@procedure("machines alike")
def compared(
    machine: str, times: Sequence[float], to: str, others: Sequence[float], margin: float = MARGIN
) -> Likeness:
    """Return how a machine's calibration compares with another's."""
    effect = log_ratio(others, times)
    low, high = effect.interval()
    return Likeness(
        machine,
        to,
        math.exp(float(effect.estimate)),
        (float(low), float(high)),
        bool(effect.p_apart(math.log1p(margin)) < _LEVEL),
    )


def told(record: Record, likeness: Likeness) -> Record:
    """Return a record of a machine that is alike, saying so: it stands beside those of the
    other.
    """
    check = Check(f"as fast as {likeness.to}", likeness.alike, str(likeness))
    return replace(timed_on(record, likeness.to), checks=(*record.checks, check))
