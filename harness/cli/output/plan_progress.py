"""How the progress of a plan is shown: its stages, what is left, and where the report lies."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from facebench.harness.cli.output.progress import RunProgress
from facebench.harness.measures.job import Job
from facebench.harness.records.record import Record
from facebench.harness.runs.estimate import Times, simulate

# Renders a report on records, with a sentence on what is still to come.
Report = Callable[[Sequence[Record], str], Path]


class PlanProgress(RunProgress):
    """Cases that are done, the stage, minutes that are left, and a report after each stage.

    Args:
        jobs: of the plan.
        report: renders what is known once a stage is over that is not the last.

    Example:
        with PlanProgress(jobs, report) as progress:
            runner.run(jobs, store, progress)
    """

    _foretells = False

    def __init__(self, jobs: Sequence[Job], report: Report) -> None:
        super().__init__(len(jobs))
        self._waiting = {job.case.key: job for job in jobs}
        self._known: dict[str, Record] = {}
        self._report = report
        self._stage = ""

    def record(self, record: Record, stored: bool) -> None:
        """See `RunListener`."""
        self._waiting.pop(record.case.key, None)
        self._known[record.case.key] = record
        super().record(record, stored)

    def so_far(self, record: Record) -> None:
        """See `RunListener`."""
        self._known[record.case.key] = record

    def begins(self, number: int, of: int) -> None:
        """See `RunListener`."""
        self._stage = f"stage {number + 1} of {of}" if of > 1 else ""
        if number and self._known:
            where = self._report([*self._known.values()], self._to_come())
            self.say(f"report so far, after stage {number} of {of}: {where}")

    def _heading(self) -> str:
        minutes = self._minutes()
        left = f"about {minutes} min left" if minutes else ""
        return ", ".join(filter(None, (self._stage, left))) or super()._heading()

    def _minutes(self) -> int:
        """Return minutes that are left, rounded up; 0 where that is not known yet."""
        times = Times([*self._known.values()])
        expected = [times.expect(job) for job in self._waiting.values()]
        if any(one.source == "unknown" for one in expected):
            return 0
        return math.ceil(simulate(expected, 1, len(os.sched_getaffinity(0))) / 60)

    def _to_come(self) -> str:
        counts = Counter(job.case.measure for job in self._waiting.values())
        cases = ", ".join(f"{count} of {measure}" for measure, count in counts.items())
        return (
            f"The run goes on: {len(self._waiting)} of its cases are still to come or not "
            f"complete ({cases}), and this page is rendered anew as stages end."
        )
