"""Models the time on a named core from what an emulated inference executed."""

from __future__ import annotations

from typing import Any

from facebench.architectures.errors import RefusedError
from facebench.harness.devices.emulator import model
from facebench.harness.devices.emulator.anchors import of_device
from facebench.harness.machine.boards import described
from facebench.harness.measures import instructions
from facebench.harness.measures.emulated_inference import emulate
from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import Measure, Outcome, Per, labelled, register
from facebench.harness.records.comparable import Counted
from facebench.harness.records.instructions import Cycles
from facebench.harness.records.record import Record
from facebench.harness.runtimes.registry import RUNTIMES

# Whose times were published, and held against the model.
_VALIDATED = ("ncnn",)


def _obtain(job: Job) -> Outcome:
    emulated = emulate(job)
    name = job.case.device.partition(":")[2]
    core = described(name)
    if core.figures is None:
        raise RefusedError(
            f"no figures of {core.name} are in cores.toml, so its time is not modelled; its "
            "instructions are counted all the same"
        )
    runtime = job.case.runtime
    validated = runtime in _VALIDATED
    precision = "" if job.case.precision == "fp32" else f"in {job.case.precision}"
    version = emulated.environment.get(RUNTIMES[runtime].packages[0], "")
    named = filter(None, (runtime, version, precision))
    return Outcome(
        model.cycles(
            emulated.figures,
            core.figures,
            " ".join(named),
            of_device(name) if validated else None,
            validated,
        ),
        emulated.checks,
        {"artifact_sha256": emulated.artifact_sha256},
        instructions.circumstances(job, emulated),
    )


def _depends_on(job: Job) -> Any:
    name = job.case.device.partition(":")[2]
    return instructions.depends_on(job), described(name), of_device(name), model.constants()


def _summary(record: Record, result: Cycles) -> str:
    return f"{result.sentence()} {labelled(record)}"


def _comparable(result: Cycles) -> list[Counted]:
    return [Counted("modelled time, 1 thread", "ms", result.milliseconds["1"])]


register(
    Measure(
        name="cycles",
        about="time of an inference on a named core, modelled from what it executes",
        result=Cycles,
        obtain=_obtain,
        summary=_summary,
        comparable=_comparable,
        kind="modelled",
        depends_on=_depends_on,
        stage=4,
        per=Per.CORE,
    )
)
