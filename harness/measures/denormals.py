"""Denormal numbers in a network's weights and in what its layers compute."""

from __future__ import annotations

from typing import Any

from facebench.architectures.errors import RefusedError
from facebench.harness.machine.environment import version
from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import MEASURES, Measure, Outcome
from facebench.harness.models.denormals import count
from facebench.harness.storage import fingerprints


def _obtain(job: Job) -> Outcome:
    if job.case.precision != "fp32":
        raise RefusedError(
            f"denormal numbers are counted in fp32, not {job.case.precision}: leave it out"
        )
    exported = job.export()
    inputs, _ = exported.reference()
    return Outcome(count(exported.onnx, inputs))


def _depends_on(job: Job) -> Any:
    sources = fingerprints.code(
        "facebench.harness.models.denormals", "facebench.harness.measures.denormals"
    )
    return sources, version("onnxruntime"), version("onnx")


MEASURES.add("denormals", Measure("denormals", "counted", _obtain, _depends_on, stage=1))
