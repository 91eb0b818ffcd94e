"""Measures the wall time of an inference by the device's clock, once its answer is right."""

from __future__ import annotations

import contextlib
import statistics
import time
from dataclasses import asdict
from typing import Any

from facebench.architectures.errors import RefusedError, UnavailableError
from facebench.harness.devices.registry import DEVICES
from facebench.harness.machine import flushing
from facebench.harness.machine.energy import NO_ENERGY
from facebench.harness.machine.footprint import Footprint
from facebench.harness.measures import deployment as deployments
from facebench.harness.measures import merging, validity
from facebench.harness.measures.deployment import Deployment, deploy
from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import (
    Measure,
    Outcome,
    Per,
    Several,
    labelled,
    register,
)
from facebench.harness.records.comparable import PEAK_MEMORY, Counted, Figure, Timed
from facebench.harness.records.latency import Latency, Process
from facebench.harness.records.peak import NO_PEAK, Peak
from facebench.harness.records.record import Record
from facebench.harness.runtimes.registry import RUNTIMES
from facebench.harness.timing import peak
from facebench.harness.timing.sampler import Samples

# Clocks and temperatures of the device, as far as it shows them.
_HEAT = ("heat_before", "heat_after")


def _obtain(job: Job) -> Outcome:
    start = time.perf_counter()
    _require_switch(job)
    deployment = deploy(job)
    reached, unknown = _peak(job)
    with (
        flushing.held(job.case.denormals),
        contextlib.closing(deployment.open(job.case.threads)) as session,
    ):
        error, agreed = deployment.check(session.infer)
        samples = session.sample(deployment.batch_of_images(), job.budget)
        footprint, no_energy = session.footprint()
        environment = session.environment()
        mode = None if DEVICES[job.case.device].remote else flushing.mode()
    latency = Latency(
        samples.samples_ms,
        samples.warmup_ms,
        session.load_ms,
        error,
        deployment.artifact.label,
        samples.reference_us,
        reached,
        process_facts=(_process(samples, session.load_ms, footprint),),
    )
    seconds = time.perf_counter() - start
    # Of a process among several nothing can be said but that it computes the right thing.
    checks = (
        ()
        if job.budget.processes > 1
        else validity.checks(latency, job.budget, seconds, job.case.threads)
    )
    provenance = _provenance(deployment, mode) | unknown
    local = job.begins_turns and not DEVICES[job.case.device].remote
    if local and (wider := deployment.left_wider()):
        provenance["left_wider"] = wider
    provenance |= dict(zip(_HEAT, samples.heat, strict=False))
    if no_energy:
        provenance[NO_ENERGY] = no_energy
    return Outcome(latency, (*agreed, *checks), provenance, environment)


def _process(samples: Samples, load_ms: float, footprint: Footprint) -> Process:
    return Process(
        load_ms,
        len(samples.warmup_ms),
        len(samples.reference_us),
        samples.stable,
        samples.fastest_us,
        samples.throttled,
        samples.conditions,
        samples.grown_bytes,
        footprint,
        samples.working_threads,
    )


def _peak(job: Job) -> tuple[Peak | None, dict[str, str]]:
    """Return the peak of the case's threads; or None, and for the provenance why there is none.

    It is in the record of one process of a case, and stands for all of them: of this run where
    it has measured it, else measured now.
    """
    case = job.case
    if not job.begins_turns:
        return None, {}
    if DEVICES[case.device].remote:
        return None, {NO_PEAK: "the peak of a board is not measured"}
    if job.peak is not None:
        return job.peak, {}
    try:
        return peak.measure(case.threads), {}
    except UnavailableError as error:
        return None, {NO_PEAK: str(error)}


def _provenance(deployment: Deployment, mode: str | None) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "artifact_sha256": deployment.digest,
        "artifact_bytes": deployment.size_bytes,
        "denormal_weights": deployment.exported.facts()["denormal_weights"],
    }
    if deployment.runtime.flushes:
        facts["flush_to_zero"] = True
    elif mode is not None:
        facts["flush_to_zero"] = {flushing.KEPT: False, flushing.FLUSHED: True}.get(mode, mode)
    return facts


def _require_switch(job: Job) -> None:
    if not job.case.denormals:
        return
    if DEVICES[job.case.device].remote:
        raise RefusedError(
            "what a runtime does with denormal numbers is switched on this machine alone, not on "
            f"{job.case.device}: use --device local"
        )
    RUNTIMES[job.case.runtime].require_flushing()


def _depends_on(job: Job) -> Any:
    return (
        deployments.depends_on(job),
        DEVICES[job.case.device].facts().identity,
        asdict(job.budget),
    )


def _summary(record: Record, result: Latency) -> str:
    lower, upper = result.interval_ms
    return f"{result.median_ms:.3g} ms [{lower:.3g}, {upper:.3g}] {labelled(record)}"


def _comparable(result: Latency) -> list[Figure]:
    groups = result.by_process
    medians = tuple(statistics.median(group) for group in groups)
    turns = tuple(ms for process in result.turn_medians_ms for ms in process)
    counts = tuple(map(len, groups))
    times = Timed("latency", "ms", medians, counts, result.beside, turns)
    added = result.added_bytes
    return [times] if added is None else [times, Counted(PEAK_MEMORY, "bytes", added)]


register(
    Measure(
        name="latency",
        about="wall time of an inference",
        result=Latency,
        obtain=_obtain,
        summary=_summary,
        comparable=_comparable,
        depends_on=_depends_on,
        stage=2,
        exclusive=True,
        timed=True,
        several=Several(merging.enough, merging.merge),
        prepare=deploy,
        per=Per.DEVICE,
    )
)
