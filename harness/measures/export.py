"""Exports a network, held against torch."""

from __future__ import annotations

from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import Measure, Outcome, Per, register
from facebench.harness.records.artifacts import Export
from facebench.harness.records.comparable import Counted
from facebench.harness.records.record import Record
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


def _summary(record: Record, result: Export) -> str:
    return f"ONNX, {result.size_bytes / 1e6:.2f} MB, error {result.output_error:.1e}"


def _comparable(result: Export) -> list[Counted]:
    return [Counted("size", "bytes", result.size_bytes)]


register(
    Measure(
        name="export",
        about="an ONNX file, held against torch",
        result=Export,
        obtain=_obtain,
        summary=_summary,
        comparable=_comparable,
        kind="counted",
        stage=0,
        per=Per.NETWORK,
    )
)
