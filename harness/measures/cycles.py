"""Models the time on a named core from what an emulated inference executed."""

from __future__ import annotations

from facebench.architectures.errors import RefusedError
from facebench.harness.devices.emulator import model
from facebench.harness.machine.cores import CORES
from facebench.harness.measures import instructions
from facebench.harness.measures.emulated_inference import emulate
from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import Measure, Outcome, Per, labelled, register
from facebench.harness.records.comparable import Counted
from facebench.harness.records.instructions import Cycles
from facebench.harness.records.record import Record


def _obtain(job: Job) -> Outcome:
    emulated = emulate(job)
    core = CORES[emulated.figures.core]
    if core.figures is None:
        raise RefusedError(
            f"no figures of {core.name} are in cores.toml, so its time is not modelled; its "
            "instructions are counted all the same"
        )
    return Outcome(
        model.cycles(emulated.figures, core.figures),
        emulated.checks,
        {"artifact_sha256": emulated.artifact_sha256},
        instructions.circumstances(job, emulated),
    )


def _summary(record: Record, result: Cycles) -> str:
    threads, ms = next(iter(result.milliseconds.items()))
    return f"{ms:.3g} ms, {threads} thread, {labelled(record)}"


def _comparable(result: Cycles) -> list[Counted]:
    return [
        Counted(f"modelled time, {threads} thread{'s' * (threads != '1')}", "ms", ms)
        for threads, ms in result.milliseconds.items()
    ]


register(
    Measure(
        name="cycles",
        about="time of an inference on a named core, modelled from what it executes",
        result=Cycles,
        obtain=_obtain,
        summary=_summary,
        comparable=_comparable,
        kind="modelled",
        depends_on=instructions.depends_on,
        stage=4,
        per=Per.CORE,
    )
)
