"""Verification accuracy of what a runtime executes, on a dataset's pairs."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from architectures.errors import RefusedError, WrongAnswerError
from architectures.registry import Preprocessing
from harness.cache import source_digest
from harness.export import RUNTIME_TOLERANCE
from harness.job import Job
from harness.measures.latency import output_error
from harness.measures.registry import MEASURES, Measure, Outcome
from harness.record import Check
from harness.runtimes.registry import RUNTIMES
from harness.timing import environment
from harness.verification.datasets.registry import DATASETS
from harness.verification.protocol import evaluate


def _obtain(job: Job) -> Outcome:
    case = job.case
    dataset = DATASETS[case.dataset]
    if not dataset.label and not job.network.trained:
        raise RefusedError(
            f"untrained weights ({case.weights}): a score on real faces would say nothing; give "
            "trained ones with --weights NETWORK=FILE"
        )
    runtime = RUNTIMES[case.runtime]
    runtime.require()
    exported = job.export()
    artifact = runtime.prepare(exported, case.batch).path
    streams = [runtime.open(artifact, 1) for _ in range(case.threads)]
    error = output_error(streams[0], exported, case.batch)
    if error > RUNTIME_TOLERANCE:
        raise WrongAnswerError(
            f"{runtime.name} differs from torch by {error:.1e} of the largest element on "
            f"{case.network} (at most {RUNTIME_TOLERANCE:.0e} is allowed), so it is not scored"
        )
    facts = exported.facts()
    accuracy = evaluate(
        dataset.open(job.data),
        streams,
        _preprocessing(facts["preprocessing"]),
        tuple(facts["input_size"]),
        batch=case.batch,
        flip=case.flip,
    )
    agreed = Check(
        "outputs agree with torch", True, f"largest difference {error:.1e} of the largest element"
    )
    return Outcome(accuracy, (agreed,), {"preprocessing": facts["preprocessing"]})


def _preprocessing(stored: dict[str, Any]) -> Preprocessing:
    return Preprocessing(stored["channels"], tuple(stored["mean"]), tuple(stored["scale"]))


def _depends_on(job: Job) -> Any:
    real = not DATASETS[job.case.dataset].label
    if real and not job.network.trained:
        return "refused"
    runtime = RUNTIMES[job.case.runtime]
    return (
        _faces_digest(job.case.dataset, job.data),
        source_digest("harness.verification", "harness.runtimes", __name__),
        [environment.version(name) for name in runtime.packages],
    )


@cache
def _faces_digest(dataset: str, data: Path | None) -> str:
    return DATASETS[dataset].open(data).digest


MEASURES.add("accuracy", Measure("accuracy", "", _obtain, _depends_on, stage=3, exclusive=True))
