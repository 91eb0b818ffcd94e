"""Exports a job's network, lowers it to its precision, and prepares it for its runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from facebench.architectures.errors import RefusedError, WrongAnswerError
from facebench.architectures.registry import Preprocessing
from facebench.harness.devices.registry import DEVICES, require_precision
from facebench.harness.machine import environment
from facebench.harness.measures.job import Job
from facebench.harness.models import precision
from facebench.harness.models.answers import LEAST_COSINE
from facebench.harness.models.export import Exported
from facebench.harness.records.case import Case
from facebench.harness.records.record import Check
from facebench.harness.runtimes.registry import (
    RUNTIMES,
    Artifact,
    Infer,
    OwnHalfPrecision,
    Runtime,
)
from facebench.harness.runtimes.session import Session
from facebench.harness.stats.arrays import FloatArray
from facebench.harness.storage import cache as files
from facebench.harness.storage import fingerprints
from facebench.harness.verification.datasets.registry import DATASETS


@dataclass(frozen=True)
class Deployment:
    """It is a network in the form in which a runtime executes it.

    Attributes:
        job: what it was made for.
        exported: the network as the runtime is given it, in the case's precision but where the
            runtime puts it into that itself.
        runtime: what executes it.
        artifact: file or folder in the cache.
    """

    job: Job
    exported: Exported
    runtime: Runtime
    artifact: Artifact

    def open(self, threads: int, counting: bool = False) -> Session:
        """Return the artifact, open on the case's device; it has not inferred yet."""
        device = DEVICES[self.job.case.device]
        return device.open(self.runtime.name, self.artifact.path, threads, counting)

    def check(self, infer: Infer, most: int | None = None) -> tuple[float, tuple[Check, ...]]:
        """Hold what infers against the network's own outputs on the reference inputs.

        Args:
            infer: from images (N, 3, H, W) to embeddings (N, E).
            most: of the reference inputs; None for all.

        Returns:
            The largest difference, relative to the largest element, and the
            conditions of validity that were looked at.

        Raises:
            WrongAnswerError: they differ by more than the precision allows.
        """
        inputs, expected = (array[:most] for array in self.exported.reference())
        batch = self.job.case.batch
        count = len(inputs) // batch * batch
        if not count:
            inputs, expected, count = _repeated(inputs, expected, batch)
        answers = [infer(inputs[i : i + batch]) for i in range(0, count, batch)]
        case = self.job.case
        what = f"{self.runtime.name} on {case.network}"
        _require_shape(answers[0], (batch, expected.shape[1]), what)
        found = precision.agreement(np.concatenate(answers), expected[:count])
        facts = self.exported.facts()
        own = _own_half(self.runtime, case)
        least = own.tolerance if own else precision.TOLERANCE[case.precision]
        precision.require_agreement(what, case.precision, found, facts["rounding"], least)
        faithful = precision.faithful(self.exported)
        if faithful is not None:
            return found.relative_error, (faithful,)
        detail = f"largest difference {found.relative_error:.1e} of the largest element"
        whose = "the graph's own" if facts["from_onnx"] else "torch"
        agreed = Check(f"outputs agree with {whose}", True, detail)
        if facts["precision"] == "int8":
            agreed = _quantized_alike(what, found.lowest_cosine)
        return found.relative_error, (agreed,)

    def batch_of_images(self) -> FloatArray:
        """Return one batch of reference inputs, `(batch, 3, H, W)`, preprocessed."""
        inputs, _ = self.exported.reference()
        return inputs[np.arange(self.job.case.batch) % len(inputs)]

    @property
    def preprocessing(self) -> Preprocessing:
        """Return what the network's input expects."""
        stored = self.exported.facts()["preprocessing"]
        return Preprocessing(stored["channels"], tuple(stored["mean"]), tuple(stored["scale"]))

    @property
    def input_size(self) -> tuple[int, int]:
        """Return the height and width in pixels."""
        height, width = self.exported.facts()["input_size"]
        return height, width

    @property
    def digest(self) -> str:
        """Hash of the artifact's bytes."""
        return files.digest([files.file_digest(path) for path in self._files()])

    @property
    def size_bytes(self) -> int:
        """Return the bytes of the artifact on disk."""
        return sum(path.stat().st_size for path in self._files())

    def left_wider(self) -> tuple[str, ...]:
        """Return the operators that the runtime computes in more bits than the case says."""
        return self.runtime.left_wider(self.artifact.path, self.job.case.precision)

    def _files(self) -> Sequence[Path]:
        path = self.artifact.path
        return [one for one in sorted([path, *path.rglob("*")]) if one.is_file()]


def deploy(job: Job, timed: bool = True) -> Deployment:
    """Export, lower and prepare a job's network, or find it all in the cache.

    Args:
        job: whose network, runtime and device.
        timed: whether its time is wanted, or its embeddings alone.

    Raises:
        UnavailableError: the runtime is not installed.
        RefusedError: it does not run this precision; int8 would be calibrated on faces that it
            is then scored on; or the network takes another number of images at once.
    """
    case = job.case
    runtime = RUNTIMES[case.runtime]
    _require_precision(job, runtime)
    itself = runtime.runs_as_it_is(job.network, case.precision)
    require_precision(runtime.name, "fp32" if itself else case.precision, case.device, timed)
    own = _own_half(runtime, case)
    given = "fp32" if own else case.precision
    exported = precision.lower(job.export(), given, lambda: _calibration(job), runtime.int8)
    _require_batch(exported, case)
    prepare = own.prepare if own else runtime.prepare
    return Deployment(job, exported, runtime, prepare(exported, case.batch, case.target))


def depends_on(job: Job) -> Any:
    """Return what an artifact and its session depend on beyond network, case and code."""
    runtime = RUNTIMES[job.case.runtime]
    return (
        runtime.depends_on(job.case.target),
        [environment.version(name) for name in runtime.packages],
        DEVICES[job.case.device].facts().identity if job.case.device != "local" else "",
        _images_digest(job.calibration, job.data) if job.calibration else "",
    )


def code(case: Case) -> str:
    """Hash of the code that an artifact runs in: its runtime's and its device's."""
    return fingerprints.code(RUNTIMES.module(case.runtime), DEVICES.module(case.device))


@cache
def faces_digest(name: str, data: Path | None) -> str:
    """Hash of a dataset's protocol, images and own landmarks."""
    return DATASETS[name].open(data).digest


@cache
def _images_digest(name: str, data: Path | None) -> str:
    return DATASETS[name].images(data).digest


def _own_half(runtime: Runtime, case: Case) -> OwnHalfPrecision | None:
    """Return how a runtime puts the case's network into half precision, where it does itself."""
    itself = case.precision == "fp16" and "fp16" not in runtime.precisions
    return runtime.half if itself else None


def _require_shape(answer: Any, expected: tuple[int, int], what: str) -> None:
    if not isinstance(answer, np.ndarray):
        raise WrongAnswerError(
            f"{what} gives {type(answer).__name__} for an output, not an array: see that its "
            "package is whole"
        )
    if answer.shape != expected:
        raise WrongAnswerError(
            f"{what} gives an output of shape {answer.shape} for {expected[0]} images, not "
            f"{expected}: export it for this batch size, or use a batch of 1"
        )


def _require_precision(job: Job, runtime: Runtime) -> None:
    """Refuse what a runtime does not run, of a network that is given in its precision."""
    own = job.network.precision

    def runs(one: Runtime) -> bool:
        return own in one.precisions or one.runs_as_it_is(job.network, own)

    if own != job.case.precision or runs(runtime):
        return
    able = [one.name for one in RUNTIMES if runs(one)]
    raise RefusedError(
        f"{job.case.network} is {precision.ALREADY[own]} already, and runtime {runtime.name} does "
        f"not run {own}: use {' or '.join(able)}, or give the fp32 file, and --precision {own} "
        "where a runtime runs it"
    )


def _require_batch(exported: Exported, case: Case) -> None:
    batch = exported.facts()["batch"]
    if batch and batch != case.batch:
        raise RefusedError(
            f"{case.network} takes one image at a time, as it was exported: use --batch {batch}, "
            "or export it for any number of images"
        )


def _quantized_alike(what: str, cosine: float) -> Check:
    """Return that a quantized graph embeds as it does by itself."""
    if cosine < LEAST_COSINE:
        raise WrongAnswerError(
            f"{what} gives embeddings of a cosine of {cosine:.3f} to the graph's own, where "
            f"{LEAST_COSINE} at least is asked: no figure is taken from it"
        )
    return Check("outputs agree with the graph's own", True, f"lowest cosine {cosine:.4f}")


def _calibration(job: Job) -> precision.Calibration:
    exported = job.export()
    facts = exported.facts()
    stored = facts["preprocessing"]
    own = Preprocessing(stored["channels"], tuple(stored["mean"]), tuple(stored["scale"]))
    height, width = facts["input_size"]
    faces = DATASETS[job.calibration].images(job.data)
    return precision.calibration_of(faces, own, (height, width))


def _repeated(inputs: Any, expected: Any, batch: int) -> tuple[Any, Any, int]:
    """Reference inputs for a batch that is larger than their count."""
    rows = np.arange(batch) % len(inputs)
    return inputs[rows], expected[rows], batch
