"""Images embedded a second with every core at work: what a large dataset takes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from harness import cache, deployment
from harness.deployment import deploy
from harness.job import Job
from harness.measures.registry import MEASURES, Measure, Outcome
from harness.result import Throughput
from harness.runtimes.registry import Session
from harness.timing import environment

_WINDOWS = 5


def _obtain(job: Job) -> Outcome:
    deployed = deploy(job)
    sessions = [deployed.open(1).infer for _ in range(job.case.threads)]
    _, agreed = deployed.check(sessions[0])
    rates = _rates(sessions, deployed.batch_of_images(), job.budget.sampling_s / _WINDOWS)
    result = Throughput(rates, deployed.artifact.label)
    return Outcome(result, agreed, {"artifact_sha256": deployed.digest})


def _rates(
    sessions: Sequence[Session], images: np.ndarray[Any, np.dtype[np.float32]], window_s: float
) -> tuple[float, ...]:
    def work(session: Session) -> int:
        count = 0
        while time.perf_counter() < end or not count:
            session(images)
            count += len(images)
        return count

    rates = []
    with ThreadPoolExecutor(len(sessions)) as pool:
        for _ in range(_WINDOWS + 1):
            began = time.perf_counter()
            end = began + window_s
            done = sum(pool.map(work, sessions))
            rates.append(done / (time.perf_counter() - began))
    return tuple(rates[1:])  # the first window warms up


def _depends_on(job: Job) -> Any:
    return (
        cache.source_digest(__name__),
        deployment.depends_on(job),
        environment.machine_key(),
        job.budget.sampling_s,
    )


MEASURES.add("throughput", Measure("throughput", "", _obtain, _depends_on, stage=2, exclusive=True))
