"""Wall time of an inference, in a process of its own, once the answer is right."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from architectures.errors import WrongAnswerError
from harness import cache
from harness.export import RUNTIME_TOLERANCE, Exported, relative_error
from harness.job import Job
from harness.measures.registry import MEASURES, Measure, Outcome
from harness.record import Check, Latency
from harness.runtimes.registry import RUNTIMES, Session
from harness.timing import environment, reference
from harness.timing.sampler import Samples, sample

# A median known no better than this is not called stable.
_NARROW = 0.05

# A moment of quiet is waited for this long, in seconds.
_QUIET_S = 1.0


def _obtain(job: Job) -> Outcome:
    exported = job.export()
    runtime = RUNTIMES[job.case.runtime]
    runtime.require()
    artifact = runtime.prepare(exported, job.case.batch)
    start = time.perf_counter()
    session = runtime.open(artifact.path, job.case.threads)
    load_ms = (time.perf_counter() - start) * 1e3
    error = output_error(session, exported, job.case.batch)
    if error > RUNTIME_TOLERANCE:
        raise WrongAnswerError(
            f"{runtime.name} differs from torch by {error:.1e} of the largest element on "
            f"{job.case.network} (at most {RUNTIME_TOLERANCE:.0e} is allowed), so it is not timed"
        )
    images = exported.reference()[0][: job.case.batch]
    reference.wait_for_quiet(_QUIET_S)
    samples = sample(lambda: session(images), job.budget)
    latency = Latency(
        samples.samples_ms,
        samples.warmup_ms,
        load_ms,
        error,
        artifact.label,
        samples.reference_us,
    )
    return Outcome(latency, _checks(samples, latency), _provenance(artifact.path, exported))


def output_error(session: Session, exported: Exported, batch: int) -> float:
    """Largest difference from torch over the reference inputs, relative to the largest element."""
    inputs, expected = exported.reference()
    count = len(inputs) // batch * batch
    answers = [session(inputs[i : i + batch]) for i in range(0, count, batch)]
    return relative_error(np.concatenate(answers), expected[:count])


def _checks(samples: Samples, latency: Latency) -> tuple[Check, ...]:
    lower, upper = latency.interval_ms
    width = (upper - lower) / latency.median_ms
    # The median of samples moves with what holds for half of them.
    usual = statistics.median(latency.reference_us)
    slow = usual / reference.fastest_us(*latency.reference_us)
    return (
        Check(
            "outputs agree with torch",
            True,
            f"largest difference {latency.output_error:.1e} of the largest element",
        ),
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


def _provenance(artifact: Path, exported: Exported) -> dict[str, Any]:
    files = [path for path in sorted([artifact, *artifact.rglob("*")]) if path.is_file()]
    return {
        "artifact_sha256": cache.digest([cache.file_digest(path) for path in files]),
        "denormal_weights": exported.facts()["denormal_weights"],
    }


def _depends_on(job: Job) -> Any:
    runtime = RUNTIMES[job.case.runtime]
    sources = [
        "harness.timing.reference",
        "harness.timing.sampler",
        "harness.measures.latency",
        "harness.runtimes",
    ]
    if runtime.name == "tvm":
        sources.append("harness.compiler")
    return (
        cache.source_digest(*sources),
        [environment.version(name) for name in runtime.packages],
        environment.machine_key(),
        job.budget.sampling_s,
    )


MEASURES.add("latency", Measure("latency", "", _obtain, _depends_on, stage=2, exclusive=True))
