"""What commands share that obtain records: progress, and failures as the command's error."""

from __future__ import annotations

from collections.abc import Sequence

from architectures.errors import FacebenchError
from harness import runner, show
from harness.job import Job
from harness.record import Record
from harness.store import Store


def run_jobs(jobs: Sequence[Job], store: Store | None = None) -> list[Record]:
    """Run jobs with a bar."""
    with show.RunProgress(len(jobs)) as progress:
        return runner.run(jobs, store, progress.listen, progress.within, progress.listen_to_parts)


def raise_failures(records: Sequence[Record]) -> None:
    """What went wrong, as the error of the command, once the rest is printed."""
    show.warn([record for record in records if record.status == "ok"])
    reasons = [f"{r.case}: {r.status}: {r.reason}" for r in records if r.status != "ok"]
    if reasons:
        raise FacebenchError("\nfacebench: ".join(reasons))
