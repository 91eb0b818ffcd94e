"""What a job waits for and what it needs: rules that runs keep to, and estimates with them."""

from __future__ import annotations

from collections.abc import Sequence

from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import MEASURES


def stage(job: Job) -> tuple[int, int]:
    """Return a job's phase and its stage in it; on one machine each waits for the one before."""
    return job.phase, MEASURES[job.case.measure].stage


def in_order(jobs: Sequence[Job]) -> list[Job]:
    """Return jobs by phase and stage.

    Networks are compared within a runtime, and a machine's speed drifts: cases of one
    runtime follow each other.
    """
    return sorted(jobs, key=lambda job: (stage(job), job.case.runtime, job.case.threads))


def waits_for_export(job: Job) -> bool:
    """Return whether a job needs its network exported."""
    return MEASURES[job.case.measure].stage > 0


def cores_on_cluster(job: Job, most: int) -> int:
    """Return cores that a job which is not timed takes of a cluster's machine.

    Args:
        job: the job.
        most: cores of the largest machine.
    """
    return min(job.case.threads, most) if MEASURES[job.case.measure].exclusive else 1
