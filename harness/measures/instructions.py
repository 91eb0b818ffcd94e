"""Counts the instructions of one inference: on an emulated core, or here by perf_event."""

from __future__ import annotations

import contextlib
import gc
import statistics
from collections.abc import Callable
from typing import Any

from facebench.architectures.errors import RefusedError
from facebench.harness.devices.registry import DEVICES
from facebench.harness.machine import environment, perf_events
from facebench.harness.machine.cores import CORES
from facebench.harness.machine.perf_events import Counter
from facebench.harness.measures import deployment
from facebench.harness.measures.deployment import deploy
from facebench.harness.measures.emulated_inference import EmulatedInference, emulate
from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import Measure, Outcome, Per, labelled, register
from facebench.harness.records.comparable import Counted
from facebench.harness.records.instructions import Instructions, Work
from facebench.harness.records.record import Check, Record

# Packages that make of an exported network what a runtime executes.
_MAKERS = {"ncnn": ("pnnx",), "tvm": ("apache-tvm", "apache-tvm-ffi")}

_REPETITIONS = 7

# Inferences before the first count: runtimes plan and allocate in these.
_WARM = 3

# Counts of one inference that spread more than this are of more than the inference.
_SPREAD = 1e-3


def _obtain(job: Job) -> Outcome:
    if DEVICES[job.case.device].kind == "emulated":
        emulated = emulate(job)
        return Outcome(
            emulated.figures,
            emulated.checks,
            {"artifact_sha256": emulated.artifact_sha256},
            circumstances(job, emulated),
        )
    _require_countable(job)
    return _counted_here(job)


def _require_countable(job: Job) -> None:
    if job.case.device != "local":
        raise RefusedError(
            f"instructions are counted on this machine and on emulated cores, not on "
            f"{job.case.device}: use --device local or emulated:CORE, of {', '.join(CORES.names())}"
        )
    if job.case.threads != 1:
        raise RefusedError(
            "instructions are counted of one thread, since several spin while they wait: "
            "use --threads 1"
        )


def _counted_here(job: Job) -> Outcome:
    # The counter first: it counts the threads that are started after it.
    with perf_events.instructions() as counter:
        ready = deploy(job)
        with contextlib.closing(ready.open(job.case.threads)) as session:
            error, checks = ready.check(session.infer)
            images = ready.batch_of_images()
            counts = count(counter, lambda: session.infer(images))
            where = session.environment()
    figures = Instructions(
        core=str(environment.capture().get("cpu_model", "")),
        line_bytes=(),
        work=Work(round(statistics.median(counts)), {}, 0, 0, (), 0, 0.0),
        kernels=(),
        output_error=error,
        label=ready.artifact.label,
    )
    provenance = {"artifact_sha256": ready.digest, "counted_by": "perf_event", "counts": counts}
    return Outcome(figures, (*checks, agree(counts)), provenance, where)


def count(counter: Counter, infer: Callable[[], object]) -> list[int]:
    """Return instructions of one inference, several times: of two less those of one.

    So what surrounds the inferences falls away.
    """
    for _ in range(_WARM):
        infer()
    counts = []
    gc.disable()  # it would come at some point of some inference
    try:
        for _ in range(_REPETITIONS):
            one, two = _of(counter, infer, 1), _of(counter, infer, 2)
            counts.append(two - one)
    finally:
        gc.enable()
    return counts


def agree(counts: list[int]) -> Check:
    """Return whether repeated counts are of the same work."""
    spread = (max(counts) - min(counts)) / statistics.median(counts)
    detail = f"{len(counts)} counts of one inference spread over {spread:.2%} of it"
    return Check("counts agree", spread <= _SPREAD, detail)


def _of(counter: Counter, infer: Callable[[], object], inferences: int) -> int:
    counter.reset_and_start()
    for _ in range(inferences):
        infer()
    return counter.stop()


def circumstances(job: Job, emulated: EmulatedInference) -> dict[str, Any]:
    """Return the emulated machine's environment, and the versions of what made the code here."""
    here = environment.versions()
    makers = ("torch", "onnx", *_MAKERS.get(job.case.runtime, ()))
    return {name: here[name] for name in makers if name in here} | emulated.environment


def depends_on(job: Job) -> Any:
    """Return what the counts depend on beyond network and case, for a fingerprint."""
    return deployment.depends_on(job), DEVICES[job.case.device].facts().identity


def _summary(record: Record, result: Instructions) -> str:
    return f"{result.work.instructions / 1e6:.1f} M instructions {labelled(record)}"


def _comparable(result: Instructions) -> list[Counted]:
    return [Counted("instructions", "", result.work.instructions)]


register(
    Measure(
        name="instructions",
        about="instructions that an inference executes, by kernel, and its memory traffic",
        result=Instructions,
        obtain=_obtain,
        summary=_summary,
        comparable=_comparable,
        depends_on=depends_on,
        stage=4,
        per=Per.CORE,
    )
)
