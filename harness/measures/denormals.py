"""Denormal numbers in a network's weights and in what its layers compute."""

from __future__ import annotations

from typing import Any

from architectures.errors import RefusedError
from harness import cache
from harness.denormals.counting import count
from harness.job import Job
from harness.measures.registry import MEASURES, Measure, Outcome
from harness.timing.environment import version


def _obtain(job: Job) -> Outcome:
    if job.case.precision != "fp32":
        raise RefusedError(
            f"denormal numbers are counted in fp32, not {job.case.precision}: leave it out"
        )
    exported = job.export()
    inputs, _ = exported.reference()
    return Outcome(count(exported.onnx, inputs))


def _depends_on(job: Job) -> Any:
    sources = cache.source_digest("harness.denormals", "harness.measures.denormals")
    return sources, version("onnxruntime"), version("onnx")


MEASURES.add("denormals", Measure("denormals", "counted", _obtain, _depends_on, stage=1))
