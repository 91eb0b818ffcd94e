"""Time on a named core, modelled from what an emulated inference executed."""

from __future__ import annotations

from typing import Any

from facebench.architectures.errors import RefusedError
from facebench.harness.devices.emulator import model
from facebench.harness.machine.cores import CORES
from facebench.harness.measures import instructions
from facebench.harness.measures.emulated_inference import emulate
from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import MEASURES, Measure, Outcome
from facebench.harness.storage import fingerprints


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


def _depends_on(job: Job) -> Any:
    return fingerprints.code(__name__), instructions.depends_on(job)


MEASURES.add("cycles", Measure("cycles", "modelled", _obtain, _depends_on, stage=4))
