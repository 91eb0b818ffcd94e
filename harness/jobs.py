"""Jobs of one case each, as plans and commands ask for them."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from harness import cache, export
from harness.case import Case
from harness.job import Job
from harness.measures.registry import MEASURES
from harness.networks import Network
from harness.timing.sampler import Budget
from harness.verification import preparation
from harness.verification.datasets.registry import find


@dataclass(frozen=True)
class Precision:
    """In how many bits a network computes.

    Attributes:
        name: one of `precision.PRECISIONS`.
        calibration: the dataset that int8's ranges come from; of a family, with the path.
    """

    name: str = "fp32"
    calibration: str = "synthetic"

    @property
    def faces(self) -> str:
        """The dataset that this precision needs; empty where it needs none."""
        return self.calibration if self.name == "int8" else ""

    def of(self, case: Case) -> Case:
        """The case in this precision."""
        faces = self.faces and find(self.faces).name
        return replace(case, precision=self.name, calibration=faces)


FP32 = Precision()


def latency_job(
    network: Network,
    runtime: str,
    threads: int,
    batch: int = 1,
    how: Precision = FP32,
    budget: Budget | None = None,
) -> Job:
    """The job of a network's latency on this machine."""
    case = Case(
        "latency",
        network.name,
        network.weights,
        runtime=runtime,
        target="host" if runtime == "tvm" else "",
        threads=threads,
        batch=batch,
    )
    return Job(how.of(case), network, calibration=how.faces, budget=budget or Budget())


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def throughput_job(
    network: Network, runtime: str, threads: int, batch: int, how: Precision, budget: Budget
) -> Job:
    """Images a second with so many single-threaded sessions on this machine."""
    job = latency_job(network, runtime, threads, batch, how, budget)
    return replace(job, case=replace(job.case, measure="throughput"))


@dataclass(frozen=True)
class Scoring:
    """How networks are scored on a dataset.

    Attributes:
        dataset: its name; of a family, with the path.
        flip: one of `embedding.FLIPS`.
        landmarks: `file`, `aligned`, or a detector, with the path of its weights after a colon.
        absent: one of `preparation.ABSENT`.
    """

    dataset: str
    flip: str = "sum"
    landmarks: str = "file"
    absent: str = "refuse"


def scoring_job(
    network: Network,
    runtime: str,
    scoring: Scoring,
    data: Path | None = None,
    how: Precision = FP32,
    threads: int | None = None,
    batch: int = 1,
) -> Job:
    """The job of scoring a network on this machine, on all cores by default."""
    dataset = find(scoring.dataset)
    case = Case(
        dataset.measure,
        network.name,
        network.weights,
        runtime=runtime,
        target="host" if runtime == "tvm" else "",
        threads=threads or cores(),
        batch=batch,
        dataset=dataset.name,
        flip=scoring.flip,
        landmarks=preparation.identity(scoring.landmarks),
        absent=scoring.absent,
    )
    return Job(
        how.of(case),
        network,
        data=data,
        dataset=scoring.dataset,
        landmarks=scoring.landmarks,
        calibration=how.faces,
    )


def with_fingerprint(job: Job) -> Job:
    """The job with the hash of all that its result depends on."""
    depends = MEASURES[job.case.measure].depends_on(job)
    return replace(job, fingerprint=cache.digest(job.case.key, export.key(job.network), depends))
