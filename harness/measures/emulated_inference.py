"""Provides one inference of a job on its emulated core, counted once and kept in the cache."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from facebench.architectures.errors import RefusedError
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.devices.emulator import counters, setup
from facebench.harness.devices.emulator.counters import Tally
from facebench.harness.devices.registry import DEVICES
from facebench.harness.machine.cores import CORES
from facebench.harness.measures import deployment as deployments
from facebench.harness.measures.deployment import Deployment, deploy
from facebench.harness.measures.job import Job
from facebench.harness.records.instructions import Instructions, KernelCount, Work
from facebench.harness.records.record import Check
from facebench.harness.storage import cache, fingerprints

# Reference inputs that are inferred before: emulation takes seconds an image.
_CHECKED = 2

# Functions that do less than this share of an inference are one.
_SMALL = 0.001


@dataclass(frozen=True)
class EmulatedInference:
    """What was counted, the conditions of its validity, and the device's environment."""

    figures: Instructions
    checks: tuple[Check, ...]
    environment: dict[str, Any]
    artifact_sha256: str


def emulate(job: Job) -> EmulatedInference:
    """Count an inference, or find the counts in the cache.

    Raises:
        RefusedError: the case's device is not emulated.
        WrongAnswerError: the outputs there differ from torch's.
    """
    device = DEVICES[job.case.device]
    if device.kind != "emulated":
        raise RefusedError(
            f"instructions are counted on an emulated device, and {job.case.device} is none: "
            f"use --device emulated:CORE, of {', '.join(CORES.names())}"
        )
    if job.case.threads != 1:
        raise RefusedError(
            "instructions are counted of one thread, and times of more are modelled from them: "
            "use --threads 1"
        )
    deployment = deploy(job)
    key = cache.digest(
        deployment.digest,
        job.case.runtime,
        job.case.threads,
        job.case.batch,
        device.facts().identity,
        fingerprints.code(__name__),
        deployments.code(job.case),
    )
    folder = cache.entry("emulation", key, lambda made: _count(job, deployment, made))
    return _read(folder / "inference.json", deployment)


def _count(job: Job, deployment: Deployment, folder: Path) -> None:
    core = CORES[DEVICES[job.case.device].facts().core]
    with contextlib.closing(deployment.open(job.case.threads, counting=True)) as session:
        error, checks = deployment.check(session.infer, _CHECKED)
        packed = session.count(deployment.batch_of_images())
        # The libraries that name the kernels are in the session's folder, which goes with it.
        total, kernels = counters.tally(packed, TARGETS[core.target].elf_machine, core.figures)
    levels = core.figures.levels if core.figures else ()
    counted = {
        "core": core.name,
        "line_bytes": [level.line_bytes for level in levels],
        "work": asdict(counters.work(total, len(levels))),
        "kernels": [
            {"name": name, "work": asdict(counters.work(part, len(levels)))}
            for name, part in _largest(kernels, total.instructions)
        ],
        "output_error": error,
    }
    kept = {
        "figures": counted,
        "checks": [asdict(check) for check in checks],
        "environment": {"cpu_model": f"{core.name}, emulated", **setup.find().versions},
    }
    (folder / "inference.json").write_text(json.dumps(kept, indent=1))


def _largest(kernels: dict[str, Tally], instructions: int) -> list[tuple[str, Tally]]:
    """Return those that matter, the largest first, and the sum of the others."""
    ordered = sorted(kernels.items(), key=lambda item: (-item[1].instructions, item[0]))
    large = [item for item in ordered if item[1].instructions >= _SMALL * instructions]
    small = [tally for _, tally in ordered[len(large) :]]
    if not small:
        return large
    return [*large, (f"{len(small)} smaller ones", counters.together(small))]


def _read(path: Path, deployment: Deployment) -> EmulatedInference:
    kept = json.loads(path.read_text())
    figures = kept["figures"]
    return EmulatedInference(
        Instructions(
            core=figures["core"],
            line_bytes=tuple(figures["line_bytes"]),
            work=_as_work(figures["work"]),
            kernels=tuple(KernelCount(k["name"], _as_work(k["work"])) for k in figures["kernels"]),
            output_error=figures["output_error"],
            label=deployment.artifact.label,
        ),
        tuple(Check(**check) for check in kept["checks"]),
        kept["environment"],
        deployment.digest,
    )


def _as_work(data: dict[str, Any]) -> Work:
    return Work(**data | {"misses": tuple(data["misses"])})
