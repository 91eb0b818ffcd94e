"""Compiles a network with TVM for a target, and says what came out."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from harness.cache import file_digest, source_digest
from harness.compiler import build, records
from harness.compiler.targets import TARGETS
from harness.job import Job
from harness.measures.registry import MEASURES, Measure, Outcome
from harness.timing.environment import identity, version


def _obtain(job: Job) -> Outcome:
    library = build.compile_network(job.export(), TARGETS[job.case.target], job.case.batch)
    return Outcome(library.compilation(), provenance={"artifact_sha256": file_digest(library.path)})


def _depends_on(job: Job) -> Any:
    target = TARGETS[job.case.target]
    machine = identity()
    return (
        asdict(target),
        None if target.triple else (machine["cpu_model"], machine["cpu_features"]),
        source_digest("harness.compiler"),
        records.stored(target.name),
        [version(name) for name in ("apache-tvm", "apache-tvm-ffi", "ziglang")],
    )


MEASURES.add("compile", Measure("compile", "counted", _obtain, _depends_on, stage=1))
