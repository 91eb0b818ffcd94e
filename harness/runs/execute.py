"""Executes a job in this process, and makes its record."""

from __future__ import annotations

import subprocess
import time
import traceback
from functools import cache
from pathlib import Path
from typing import Any

from facebench.architectures.errors import FacebenchError, LostError, RefusedError
from facebench.harness.machine import environment, fork_server
from facebench.harness.measures.job import Job
from facebench.harness.measures.merging import STARTED
from facebench.harness.measures.registry import MEASURES, kind_of
from facebench.harness.records.record import Check, Record
from facebench.harness.records.results import Result
from facebench.harness.storage import fingerprints


def perform(job: Job) -> Record:
    """Obtain what the job asks for.

    Nothing is raised for a case that goes wrong: it is a record too, `failed`
    or `refused`, with its reason. But for a device that is lost: that may be
    another time's luck. The record of a shard, and of what is only prepared, has no result.

    Raises:
        LostError: the case's device answers no more.
    """
    start = time.perf_counter()
    measure = MEASURES[job.case.measure]
    status, reason = "ok", ""
    result: Result | None = None
    checks: tuple[Check, ...] = ()
    where: dict[str, Any] = {}
    provenance: dict[str, Any] = {
        **code_facts(),
        "weights": job.case.weights,
        STARTED: fork_server.how_started(),
    }
    try:
        provenance |= job.facts()
        if job.prepares:
            assert measure.prepare is not None
            measure.prepare(job)
        elif job.shard is not None:
            assert measure.sharding is not None
            measure.sharding.prepare(job)
        else:
            outcome = measure.obtain(job)
            result, checks, where = outcome.result, outcome.checks, outcome.environment
            provenance |= outcome.provenance
    except LostError:
        raise
    except RefusedError as error:
        status, reason = "refused", str(error)
    except FacebenchError as error:
        status, reason = "failed", str(error)
    except MemoryError as error:
        status, reason = "failed", f"too little memory for it here: {str(error) or 'MemoryError'}"
        provenance["traceback"] = traceback.format_exc()
    except Exception as error:  # a defect of ours or of a runtime must not stop the run
        status, reason = "failed", f"{type(error).__name__}: {error}"
        provenance["traceback"] = traceback.format_exc()
    return Record(
        case=job.case,
        kind=kind_of(job.case),
        status=status,
        result=result,
        reason=reason,
        checks=checks,
        environment=where or environment.capture(),
        provenance=provenance,
        fingerprint=job.fingerprint,
        duration_s=round(time.perf_counter() - start, 3),
    )


def code_facts() -> dict[str, str]:
    """Return what the code is that runs; it is looked up once in a process."""
    return {
        "facebench": environment.version("facebench") or "",
        "code": fingerprints.whole(),
        "git_revision": _git_revision(),
    }


@cache
def _git_revision() -> str:
    """Revision of the checkout this code runs from; empty where it is installed."""
    here = Path(__file__).parents[3]
    if not (here / ".git").exists():
        return ""
    command = ["git", "-C", str(here), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip()
