"""Counts denormal numbers in a network's weights and in what its layers compute."""

from __future__ import annotations

from typing import Any

from facebench.architectures.errors import RefusedError
from facebench.harness.machine.environment import version
from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import Measure, Outcome, register
from facebench.harness.models.denormals import count
from facebench.harness.records.comparable import Counted
from facebench.harness.records.denormals import Denormals
from facebench.harness.records.record import Record


def _obtain(job: Job) -> Outcome:
    if job.case.precision != "fp32":
        raise RefusedError(
            f"denormal numbers are counted in fp32, not {job.case.precision}: leave it out"
        )
    exported = job.export()
    inputs, _ = exported.reference()
    return Outcome(count(exported.onnx, inputs))


def _depends_on(job: Job) -> Any:
    return version("onnxruntime"), version("onnx")


def _summary(record: Record, result: Denormals) -> str:
    counts = (*result.weights, *result.activations)
    return f"{sum(one.denormals for one in counts):,} denormal numbers"


def _comparable(result: Denormals) -> list[Counted]:
    return [
        Counted("denormal weights", "", sum(one.denormals for one in result.weights)),
        Counted("denormal activations", "", sum(one.denormals for one in result.activations)),
    ]


register(
    Measure(
        name="denormals",
        about="denormal numbers in weights and in what layers compute, counted",
        result=Denormals,
        obtain=_obtain,
        summary=_summary,
        comparable=_comparable,
        kind="counted",
        depends_on=_depends_on,
        stage=1,
        of_network=True,
    )
)
