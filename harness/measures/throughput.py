"""Measures how many images single-threaded sessions embed in a second."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from facebench.architectures.errors import RefusedError
from facebench.harness.machine import busy, environment, heat, pinning, reference
from facebench.harness.machine.conditions import Conditions
from facebench.harness.measures import deployment, validity
from facebench.harness.measures.deployment import deploy
from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import Measure, Outcome, Per, labelled, register
from facebench.harness.records.case import Case
from facebench.harness.records.comparable import Timed
from facebench.harness.records.record import Check, Record
from facebench.harness.records.throughput import Throughput
from facebench.harness.runtimes.registry import RUNTIMES, Infer

# Of fewer than six no interval of their median reaches 95 %.
_WINDOWS = 7

# Waited at most, in seconds, for a moment of quiet.
_QUIET_S = 1.0


def _obtain(job: Job) -> Outcome:
    case, budget = job.case, job.budget
    _require_batches(case)
    deployed = deploy(job)
    infers = [deployed.open(1).infer for _ in range(case.threads)]
    _, agreed = deployed.check(infers[0])
    images = deployed.batch_of_images()
    hot = heat.capture()
    with pinning.pinned(case.threads if budget.pin else 0) as cpus:
        waited = busy.wait_for_quiet(case.threads, _QUIET_S)
        references, before = [reference.time_us()], busy.look()
        rates = []
        for rate in _rates(infers, images, budget.sampling_s / _WINDOWS):
            rates.append(rate)
            references.append(reference.time_us())
        during = busy.between(before, busy.look())
    result = Throughput(
        tuple(rates),
        deployed.artifact.label,
        tuple(references),
        reference.fastest_us(*references),
        Conditions(cpus, waited, during),
    )
    checks = (*agreed, *_checks(result, case.threads, heat.throttled(hot, heat.capture(), [])))
    return Outcome(result, checks, {"artifact_sha256": deployed.digest})


def _require_batches(case: Case) -> None:
    if case.batch > 1 and not RUNTIMES[case.runtime].batches:
        raise RefusedError(
            f"runtime {case.runtime} infers one image at a time, so a batch of {case.batch} is "
            f"{case.batch} inferences and no batch: its throughput is that of a batch of 1"
        )


def _rates(
    infers: Sequence[Infer], images: np.ndarray[Any, np.dtype[np.float32]], window_s: float
) -> Iterator[float]:
    """Yield images a second of all sessions together, window after window; one before them warms
    up.
    """

    def work(infer: Infer) -> float:
        # Each over its own time: one that is done does not wait for the others' last batch.
        began = now = time.perf_counter()
        count = 0
        while now < end or not count:
            infer(images)
            count += len(images)
            now = time.perf_counter()
        return count / (now - began)

    with ThreadPoolExecutor(len(infers)) as pool:
        for number in range(_WINDOWS + 1):
            end = time.perf_counter() + window_s
            rate = sum(pool.map(work, infers))
            if number:
                yield rate


def _checks(result: Throughput, threads: int, throttled: str) -> tuple[Check, ...]:
    slow = statistics.median(result.reference_us) / result.fastest_us
    cpus = environment.cores()
    during = result.conditions.during if result.conditions is not None else None
    others = f", of which others kept {during.others:.1f} busy" if during is not None else ""
    return (
        Check(
            validity.CPU_FOR_EACH,
            threads <= cpus and (during is None or during.leaves(threads)),
            f"{threads} sessions on {cpus} CPUs{others}",
        ),
        Check(
            validity.KEPT_ITS_SPEED,
            slow <= reference.TOLERANCE,
            f"between windows a reference kernel took {slow:.2f} times its fastest here (median)",
        ),
        Check(
            validity.NOT_THROTTLED,
            not throttled,
            throttled or "nothing that can be read here shows it",
        ),
    )


def _depends_on(job: Job) -> Any:
    return (
        deployment.depends_on(job),
        environment.machine_key(),
        job.budget.sampling_s,
        job.budget.pin,
    )


def _summary(record: Record, result: Throughput) -> str:
    lower, upper = result.interval
    rate = f"{result.images_per_second:.3g} images/s [{lower:.3g}, {upper:.3g}]"
    where = f"batch {record.case.batch}, threads {record.case.threads}"
    return f"{where}: {rate} {labelled(record)}"


def _comparable(result: Throughput) -> list[Timed]:
    per_image = (1e3 / result.images_per_second,)
    return [Timed("time an image", "ms", per_image, (len(result.rates),))]


register(
    Measure(
        name="throughput",
        about="images embedded a second, by single-threaded sessions",
        result=Throughput,
        obtain=_obtain,
        summary=_summary,
        comparable=_comparable,
        depends_on=_depends_on,
        stage=2,
        exclusive=True,
        timed=True,
        per=Per.BATCH,
    )
)
