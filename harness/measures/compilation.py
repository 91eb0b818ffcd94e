"""Compiles a network with TVM for a target, and says what came out."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from facebench.harness.compiler import build, records
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.machine.environment import identity, version
from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import Measure, Outcome, Per, register
from facebench.harness.records.artifacts import Compilation
from facebench.harness.records.comparable import Counted
from facebench.harness.records.record import Record
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
        records.stored(target.name),
        [version(name) for name in ("apache-tvm", "apache-tvm-ffi", "ziglang")],
    )


def _summary(record: Record, result: Compilation) -> str:
    return f"{result.elf_machine}, {result.size_bytes / 1e6:.1f} MB"


def _comparable(result: Compilation) -> list[Counted]:
    return [Counted("size", "bytes", result.size_bytes)]


register(
    Measure(
        name="compile",
        about="a shared library for a target, made by TVM",
        result=Compilation,
        obtain=_obtain,
        summary=_summary,
        comparable=_comparable,
        kind="counted",
        depends_on=_depends_on,
        stage=1,
        per=Per.TARGET,
        runtime="tvm",
    )
)
