"""What runs on a machine of a cluster: the functions that Ray calls there."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from typing import Any

from facebench.harness.machine.processes import dying_with_parent, python_module
from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import MEASURES
from facebench.harness.models import export
from facebench.harness.records.record import to_json
from facebench.harness.runs import worker_pool
from facebench.harness.runs.cluster import machines
from facebench.harness.runs.jobs import with_fingerprint
from facebench.harness.storage.progress import SILENT
from facebench.harness.storage.serialization import convert


def version() -> str:
    """Return what `machines.version` says there."""
    return machines.version()


def fingerprints(jobs: list[dict[str, Any]]) -> list[str]:
    """Return the fingerprints that jobs have there: those of timed ones depend on the machine."""
    return [with_fingerprint(convert(data, Job)).fingerprint for data in jobs]


def perform(data: dict[str, Any]) -> dict[str, Any]:
    """Return the record of a job, obtained in a process of its own, as on one machine."""
    job = convert(data, Job)
    (record,) = worker_pool.execute([_with_export(job)], SILENT)
    return to_json(record)


def train(words: list[str], folder: str) -> tuple[int, str, str]:
    """Exit code, output and last words of `facebench train` with these words, in a folder."""
    done = subprocess.run(
        dying_with_parent(python_module("facebench", "train", *words, "--json")),
        cwd=folder,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, "".join(done.stderr.strip().splitlines()[-1:])


class Alone:
    """Performs timed jobs on a machine whose cores are all its own while it lives."""

    def perform(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return the record of a job; an empty one is answered at once."""
        return perform(data) if data else {}


def _with_export(job: Job) -> Job:
    """Return the job with the exported network of this machine's cache, where it needs one."""
    if MEASURES[job.case.measure].stage == 0:
        return job
    if export.find(job.network) is None:
        making = replace(job, case=replace(job.case, measure="export"))
        for _ in worker_pool.execute([making], SILENT):
            pass
    found = export.find(job.network)
    return job if found is None else replace(job, exported=found.folder)
