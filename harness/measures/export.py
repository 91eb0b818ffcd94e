"""Exports a network, held against torch."""

from __future__ import annotations

from typing import Any

from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import MEASURES, Measure, Outcome
from facebench.harness.records.results import Export
from facebench.harness.storage.cache import file_digest


def _obtain(job: Job) -> Outcome:
    exported = job.export()
    facts = exported.facts()
    result = Export(
        opset=facts["opset"],
        size_bytes=exported.onnx.stat().st_size,
        output_error=facts["output_error"],
    )
    return Outcome(result, provenance={"artifact_sha256": file_digest(exported.onnx)})


def _depends_on(job: Job) -> Any:
    return "export"


MEASURES.add("export", Measure("export", "counted", _obtain, _depends_on, stage=0))
