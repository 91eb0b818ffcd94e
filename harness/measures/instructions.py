"""Instructions, memory traffic and cache misses of an inference on an emulated core."""

from __future__ import annotations

from typing import Any

from harness import cache, deployment
from harness.emulation.inference import Emulated, emulate
from harness.job import Job
from harness.measures.registry import MEASURES, Measure, Outcome
from harness.timing import environment

# Packages that make of an exported network what a runtime executes.
_MAKERS = {"ncnn": ("pnnx",), "onnxruntime": (), "tvm": ("apache-tvm", "apache-tvm-ffi")}


def _obtain(job: Job) -> Outcome:
    emulated = emulate(job)
    return Outcome(
        emulated.figures,
        emulated.checks,
        {"artifact_sha256": emulated.artifact_sha256},
        circumstances(job, emulated),
    )


def circumstances(job: Job, emulated: Emulated) -> dict[str, Any]:
    """The emulated machine's environment, and the versions of what made the code here."""
    here = environment.versions()
    makers = ("torch", "onnx", *_MAKERS[job.case.runtime])
    return {name: here[name] for name in makers if name in here} | emulated.environment


def depends_on(job: Job) -> Any:
    """What the counts depend on beyond network and case, for a fingerprint."""
    return cache.source_digest("harness.emulation"), deployment.depends_on(job)


MEASURES.add("instructions", Measure("instructions", "", _obtain, depends_on, stage=4))
