"""Wall time of an inference, in a process of its own, once the answer is right."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np

from harness import cache
from harness import deployment as deployments
from harness.deployment import Deployment, deploy
from harness.job import Job
from harness.measures.registry import MEASURES, Measure, Outcome
from harness.record import Check
from harness.result import Latency
from harness.timing import environment, reference
from harness.timing.sampler import Samples, sample

# A median known no better than this is not called stable.
_NARROW = 0.05

# A moment of quiet is waited for this long, in seconds.
_QUIET_S = 1.0


def _obtain(job: Job) -> Outcome:
    deployment = deploy(job)
    start = time.perf_counter()
    session = deployment.open(job.case.threads)
    load_ms = (time.perf_counter() - start) * 1e3
    error, agreed = deployment.check(session)
    inputs, _ = deployment.exported.reference()
    images = inputs[np.arange(job.case.batch) % len(inputs)]
    reference.wait_for_quiet(_QUIET_S)
    samples = sample(lambda: session(images), job.budget)
    latency = Latency(
        samples.samples_ms,
        samples.warmup_ms,
        load_ms,
        error,
        deployment.artifact.label,
        samples.reference_us,
    )
    return Outcome(latency, (*agreed, *_checks(samples, latency)), _provenance(deployment))


def _checks(samples: Samples, latency: Latency) -> tuple[Check, ...]:
    lower, upper = latency.interval_ms
    width = (upper - lower) / latency.median_ms
    # The median of samples moves with what holds for half of them.
    usual = statistics.median(latency.reference_us)
    slow = usual / reference.fastest_us(*latency.reference_us)
    return (
        Check(
            "warm-up settled",
            samples.stable,
            f"after {len(samples.warmup_ms)} inferences"
            if samples.stable
            else "the last two windows of five inferences still differ by more than 2 %",
        ),
        Check(
            "machine kept its speed",
            slow <= reference.TOLERANCE,
            f"between samples a reference kernel took {slow:.2f} times its fastest here (median)",
        ),
        Check(
            "median is known to 5 %",
            width <= _NARROW,
            f"the 95 % interval is {width:.1%} wide over {len(samples.samples_ms)} samples",
        ),
    )


def _provenance(deployment: Deployment) -> dict[str, Any]:
    return {
        "artifact_sha256": deployment.digest,
        "denormal_weights": deployment.exported.facts()["denormal_weights"],
    }


def _depends_on(job: Job) -> Any:
    sources = ("harness.timing.reference", "harness.timing.sampler", "harness.measures.latency")
    return (
        cache.source_digest(*sources),
        deployments.depends_on(job),
        environment.machine_key(),
        job.budget.sampling_s,
    )


MEASURES.add("latency", Measure("latency", "", _obtain, _depends_on, stage=2, exclusive=True))
