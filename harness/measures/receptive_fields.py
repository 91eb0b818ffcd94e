"""Effective receptive fields of the last map, and the weights of the global operator."""

from __future__ import annotations

from typing import Any

from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import MEASURES, Measure, Outcome
from facebench.harness.storage import fingerprints


def _obtain(job: Job) -> Outcome:
    from facebench.harness.models.receptive_fields import compute  # loads torch

    return Outcome(compute(job.network.module(), job.network.architecture().input_size))


def _depends_on(job: Job) -> Any:
    return fingerprints.code(__name__)


MEASURES.add("fields", Measure("fields", "counted", _obtain, _depends_on, stage=0))
