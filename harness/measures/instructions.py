"""Instructions, memory traffic and cache misses of an inference on an emulated core."""

from __future__ import annotations

from typing import Any

from harness import cache, deployment
from harness.emulation.inference import emulate
from harness.job import Job
from harness.measures.registry import MEASURES, Measure, Outcome


def _obtain(job: Job) -> Outcome:
    emulated = emulate(job)
    return Outcome(
        emulated.figures,
        emulated.checks,
        {"artifact_sha256": emulated.artifact_sha256},
        emulated.environment,
    )


def depends_on(job: Job) -> Any:
    """What the counts depend on beyond network and case, for a fingerprint."""
    return cache.source_digest("harness.emulation"), deployment.depends_on(job)


MEASURES.add("instructions", Measure("instructions", "", _obtain, depends_on, stage=4))
