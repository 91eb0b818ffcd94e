"""Turns what a user asks to have measured into jobs: latency, throughput, instructions, denormals.

Each request expands to jobs, which `runner.run` obtains records of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from facebench.harness.devices.registry import DEVICES, require_precision
from facebench.harness.machine.flushing import FLUSHED, KEPT
from facebench.harness.measures.job import Job
from facebench.harness.models.networks import Network
from facebench.harness.records.case import Case
from facebench.harness.runs import jobs
from facebench.harness.runs.jobs import DEFAULT_SAMPLING, FP32, Precision, Sampling
from facebench.harness.runtimes.registry import RUNTIMES, installed
from facebench.harness.verification.datasets.registry import data_root


@dataclass(frozen=True)
class LatencyRequest:
    """Networks whose latency is wanted.

    Attributes:
        networks: with their weights.
        runtimes: by name; where there are none, all that are installed here and there, each in
            those of the precisions that it runs.
        devices: where; on an emulated one instructions and cycles are obtained instead.
        target: what TVM compiles for; where empty, what the device says it is.
        precisions: each in which a network is timed.
        threads: of a session.
        batch: images in one inference.
        data: folder of data sets, for int8's calibration.
        sampling: what is sampled otherwise than by default.
    """

    networks: Sequence[Network]
    runtimes: Sequence[str] = ()
    devices: Sequence[str] = ("local",)
    target: str = ""
    precisions: Sequence[Precision] = (FP32,)
    threads: int = 1
    batch: int = 1
    data: Path | None = None
    sampling: Sampling = DEFAULT_SAMPLING

    def jobs(self) -> list[Job]:
        """Expand to jobs, device by device.

        Raises:
            UnknownNameError: a runtime, device or target is unknown.
            UnavailableError: a runtime is not installed, or a device cannot be reached.
            RefusedError: a runtime does not run a precision.
        """
        budget = self.sampling.over(jobs.BUDGET)
        wanted = [
            replace(job, data=data_root(self.data))
            for device in self.devices
            for network, (runtime, how) in product(self.networks, self._combinations(device))
            for job in jobs.device_jobs(
                jobs.latency_job(
                    network, runtime, self.threads, self.batch, how, budget, device, self.target
                )
            )
        ]
        for job in wanted:
            if job.network.precision == "fp32":
                require_precision(job.case.runtime, job.case.precision, job.case.device)
        return wanted

    def _combinations(self, device: str) -> list[tuple[str, Precision]]:
        if self.runtimes:
            return list(product(self.runtimes, self.precisions))
        facts = DEVICES[device].facts()
        there = [name for name in installed() if name in facts.runtimes]
        return _able(there, self.precisions, facts.target)


@dataclass(frozen=True)
class ThroughputRequest:
    """Networks whose images a second on this machine are wanted.

    Attributes:
        networks: with their weights.
        runtimes: by name; where there are none, all that are installed, each in those of the
            precisions that it runs.
        precisions: each in which a network is measured.
        threads: numbers of sessions that work side by side, each of one thread.
        batches: images in one inference.
        data: folder of data sets, for int8's calibration.
        sampling: what is sampled otherwise than by default.
    """

    networks: Sequence[Network]
    runtimes: Sequence[str] = ()
    precisions: Sequence[Precision] = (FP32,)
    threads: Sequence[int] = (1,)
    batches: Sequence[int] = (1, 4, 16)
    data: Path | None = None
    sampling: Sampling = DEFAULT_SAMPLING

    def jobs(self) -> list[Job]:
        """Expand to jobs.

        Raises:
            UnknownNameError: a runtime is unknown.
            UnavailableError: a runtime is not installed.
            RefusedError: a runtime does not run a precision.
        """
        combinations = list(product(self.runtimes, self.precisions))
        for name, how in combinations:
            RUNTIMES[name].require(how.name, "host")
        combinations = combinations or _able(installed(), self.precisions, "host")
        budget = self.sampling.over(jobs.BUDGET)
        return [
            replace(
                jobs.throughput_job(network, name, threads, batch, how, budget),
                data=data_root(self.data),
            )
            for network, (name, how), threads, batch in product(
                self.networks, combinations, self.threads, self.batches
            )
        ]


@dataclass(frozen=True)
class InstructionsRequest:
    """Networks whose instructions are to be counted, for one inference of one image.

    Attributes:
        networks: with their weights.
        runtimes: by name.
        devices: where.
        target: what TVM compiles for; where empty, what the device says it is.
    """

    networks: Sequence[Network]
    runtimes: Sequence[str]
    devices: Sequence[str] = ("local",)
    target: str = ""

    def jobs(self) -> list[Job]:
        """Expand to jobs, device by device.

        Raises:
            UnknownNameError: a runtime, device or target is unknown.
            UnavailableError: a runtime is not installed, or a device cannot be reached.
        """
        for name in self.runtimes:
            RUNTIMES[name].require()
        return [
            jobs.instructions_job(network, name, device, self.target)
            for device, network, name in product(self.devices, self.networks, self.runtimes)
        ]


@dataclass(frozen=True)
class DenormalsRequest:
    """Networks whose denormal numbers are to be counted, and their cost measured.

    Attributes:
        networks: with their weights.
        runtimes: in which each is timed with denormal numbers kept, and flushed to zero.
        threads: of a session.
        sampling: what is sampled otherwise than by default.
    """

    networks: Sequence[Network]
    runtimes: Sequence[str] = ()
    threads: int = 1
    sampling: Sampling = DEFAULT_SAMPLING

    def jobs(self) -> list[Job]:
        """Expand to jobs: counts first.

        Raises:
            UnknownNameError: a runtime is unknown.
            UnavailableError: a runtime is not installed.
            RefusedError: a runtime cannot be told to flush denormal numbers.
        """
        for name in self.runtimes:
            RUNTIMES[name].require()
            RUNTIMES[name].require_flushing()
        budget = self.sampling.over(jobs.BUDGET)
        counts = [Job(Case("denormals", n.name, n.weights), n) for n in self.networks]
        times = [
            replace(job, case=replace(job.case, denormals=mode))
            for network, name in product(self.networks, self.runtimes)
            for job in [jobs.latency_job(network, name, self.threads, budget=budget)]
            for mode in (KEPT, FLUSHED)
        ]
        return counts + times


def _able(
    runtimes: Sequence[str], precisions: Sequence[Precision], target: str = ""
) -> list[tuple[str, Precision]]:
    """Return runtimes with those of the precisions that they run on CPUs of a target.

    Raises:
        RefusedError: none of them runs one of the precisions; the message names who does.
    """
    able = {name: RUNTIMES[name].precisions_on(target) for name in runtimes}
    for how in precisions:
        if runtimes and not any(how.name in names for names in able.values()):
            RUNTIMES[runtimes[0]].require(how.name, target)
    return [(name, how) for name, how in product(runtimes, precisions) if how.name in able[name]]
