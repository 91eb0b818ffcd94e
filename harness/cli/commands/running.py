"""Holds what commands that obtain records share: progress, and failures as the command's error."""

from __future__ import annotations

from collections.abc import Sequence

from facebench.architectures.errors import FacebenchError
from facebench.harness.cli.output import console
from facebench.harness.cli.output.plan_progress import PlanProgress, Report
from facebench.harness.cli.output.progress import RunProgress
from facebench.harness.measures.job import Job
from facebench.harness.records.record import Record
from facebench.harness.records.store import Store
from facebench.harness.runs import runner
from facebench.harness.runs.runner import JobRunner, Obtain


def run_jobs(
    jobs: Sequence[Job], store: Store | None = None, *, obtain: Obtain | None = None
) -> list[Record]:
    """Run jobs with a bar: a `runner.JobRunner`."""
    with RunProgress(len(jobs)) as progress:
        return runner.run(jobs, store, progress, obtain)


def run_reporting(report: Report) -> JobRunner:
    """Return a function that runs jobs with a bar, and reports after each stage."""

    def run(
        jobs: Sequence[Job], store: Store | None = None, *, obtain: Obtain | None = None
    ) -> list[Record]:
        with PlanProgress(jobs, report) as progress:
            return runner.run(jobs, store, progress, obtain)

    return run


def raise_failures(records: Sequence[Record]) -> None:
    """Raise what went wrong as the error of the command, once the rest is printed."""
    console.warn([record for record in records if record.status == "ok"])
    reasons = [f"{r.case}: {r.status}: {r.reason}" for r in records if r.status != "ok"]
    if reasons:
        raise FacebenchError("\nfacebench: ".join(reasons))
