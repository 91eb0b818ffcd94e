"""Wall time of an inference, by the device's clock, once the answer is right."""

from __future__ import annotations

import contextlib
import statistics
from typing import Any

from architectures.errors import UnavailableError
from harness import cache
from harness import deployment as deployments
from harness.case import Case
from harness.deployment import Deployment, deploy
from harness.devices.registry import DEVICES
from harness.job import Job
from harness.measures.registry import MEASURES, Measure, Outcome
from harness.record import Check
from harness.result import Latency
from harness.timing import peak, reference
from harness.timing.drift import drift
from harness.timing.peak import NO_PEAK, Peak
from harness.timing.sampler import Samples

# Clocks and temperatures of the device, as far as it shows them.
_HEAT = ("heat_before", "heat_after")

# A median known no better than this is not called stable.
_NARROW = 0.05


def _obtain(job: Job) -> Outcome:
    deployment = deploy(job)
    reached, unknown = _peak(job.case)
    with contextlib.closing(deployment.open(job.case.threads)) as stand:
        error, agreed = deployment.check(stand.infer)
        samples = stand.sample(deployment.batch_of_images(), job.budget)
        environment = stand.environment()
    latency = Latency(
        samples.samples_ms,
        samples.warmup_ms,
        stand.load_ms,
        error,
        deployment.artifact.label,
        samples.reference_us,
        reached,
    )
    checks = (*agreed, *_checks(samples, latency))
    provenance = _provenance(deployment) | unknown
    provenance |= dict(zip(_HEAT, samples.heat, strict=False))
    return Outcome(latency, checks, provenance, environment)


def _peak(case: Case) -> tuple[Peak | None, dict[str, str]]:
    """The peak of the case's threads; or None, and for the provenance why there is none."""
    if DEVICES[case.device].remote:
        return None, {NO_PEAK: "the peak of a board is not measured"}
    try:
        return peak.measure(case.threads), {}
    except UnavailableError as error:
        return None, {NO_PEAK: str(error)}


def _checks(samples: Samples, latency: Latency) -> tuple[Check, ...]:
    lower, upper = latency.interval_ms
    width = (upper - lower) / latency.median_ms
    trend = drift(latency.samples_ms)
    return (
        *_kept_its_speed(samples),
        Check(
            "warm-up settled",
            samples.stable,
            f"after {len(samples.warmup_ms)} inferences"
            if samples.stable
            else "the last two windows of five inferences still differ by more than 2 %",
        ),
        Check(
            "not throttled",
            not samples.throttled,
            samples.throttled or "nothing that can be read here shows it",
        ),
        Check(
            "no drift",
            not trend.significant,
            f"the last tenth of the samples took {1 + trend.relative_change:.2f} times as long as "
            f"the first (p = {trend.p_value:.2g})",
        ),
        Check(
            "median is known to 5 %",
            width <= _NARROW,
            f"the 95 % interval is {width:.1%} wide over {len(samples.samples_ms)} samples",
        ),
    )


def _kept_its_speed(samples: Samples) -> tuple[Check, ...]:
    if not samples.fastest_us:
        return ()
    # The median of samples moves with what holds for half of them.
    slow = statistics.median(samples.reference_us) / samples.fastest_us
    detail = f"between samples a reference kernel took {slow:.2f} times its fastest here (median)"
    return (Check("machine kept its speed", slow <= reference.TOLERANCE, detail),)


def _provenance(deployment: Deployment) -> dict[str, Any]:
    return {
        "artifact_sha256": deployment.digest,
        "denormal_weights": deployment.exported.facts()["denormal_weights"],
    }


def _depends_on(job: Job) -> Any:
    sources = ("harness.timing", "harness.measures.latency")
    return (
        cache.source_digest(*sources),
        deployments.depends_on(job),
        DEVICES[job.case.device].facts().identity,
        job.budget.sampling_s,
    )


MEASURES.add("latency", Measure("latency", "", _obtain, _depends_on, stage=2, exclusive=True))
