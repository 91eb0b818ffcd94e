"""Compiles a network with TVM for a target, and says what came out."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from facebench.harness.compiler import build, records
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.machine.environment import identity, version
from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import MEASURES, Measure, Outcome
from facebench.harness.storage import fingerprints
from facebench.harness.storage.cache import file_digest


def _obtain(job: Job) -> Outcome:
    library = build.compile_network(job.export(), TARGETS[job.case.target], job.case.batch)
    return Outcome(library.compilation(), provenance={"artifact_sha256": file_digest(library.path)})


def _depends_on(job: Job) -> Any:
    target = TARGETS[job.case.target]
    machine = identity()
    return (
        asdict(target),
        None if target.triple else (machine["cpu_model"], machine["cpu_features"]),
        fingerprints.code("facebench.harness.compiler"),
        records.stored(target.name),
        [version(name) for name in ("apache-tvm", "apache-tvm-ffi", "ziglang")],
    )


MEASURES.add("compile", Measure("compile", "counted", _obtain, _depends_on, stage=1))
