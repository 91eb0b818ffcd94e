"""Computes a job's fingerprint: a hash of all that its result depends on.

The code of it is found, not listed: the modules of all that the case names, and whatever
these import. A measure adds what is no code.
"""

from __future__ import annotations

from typing import Any

from facebench.architectures.registry import Registry
from facebench.harness.devices.registry import DEVICES
from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import MEASURES
from facebench.harness.models import export
from facebench.harness.runtimes.registry import RUNTIMES
from facebench.harness.storage import cache, fingerprints
from facebench.harness.verification.datasets.registry import DATASETS
from facebench.harness.verification.detectors.registry import DETECTORS


def fingerprint(job: Job) -> str:
    """Hash of all that a job's result depends on."""
    return cache.digest(
        job.case.key,
        export.key(job.network),
        fingerprints.code(*modules(job)),
        MEASURES[job.case.measure].depends_on(job),
    )


def modules(job: Job) -> tuple[str, ...]:
    """Return full names of the modules that registered what a job's case names but its network."""
    case = job.case
    detector = job.landmarks.partition(":")[0]
    named: list[tuple[Registry[Any], str]] = [
        (MEASURES, case.measure),
        (RUNTIMES, case.runtime),
        (DEVICES, case.device if case.runtime else ""),
        (DATASETS, case.dataset and (job.dataset or case.dataset)),
        (DATASETS, job.calibration),
        (DETECTORS, detector if case.dataset and detector in DETECTORS else ""),
    ]
    return tuple(registry.module(name) for registry, name in named if name)
