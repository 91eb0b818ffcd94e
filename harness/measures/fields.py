"""Effective receptive fields of the last map, and the weights of the global operator."""

from __future__ import annotations

from typing import Any

from harness.cache import source_digest
from harness.job import Job
from harness.measures.registry import MEASURES, Measure, Outcome


def _obtain(job: Job) -> Outcome:
    from harness.fields.compute import compute  # loads torch

    return Outcome(compute(job.network.module(), job.network.architecture().input_size))


def _depends_on(job: Job) -> Any:
    return source_digest("harness.fields")


MEASURES.add("fields", Measure("fields", "counted", _obtain, _depends_on, stage=0))
