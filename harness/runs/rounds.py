"""Provides processes of timed cases in rounds: each case's first one, then each one's second, and
on.

So what drifts falls on all cases alike: the machine's speed between morning and noon
is in every case's spread, and not in the difference between the first and the last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from facebench.architectures.errors import FacebenchError
from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import MEASURES, Several, failed
from facebench.harness.records.record import Record
from facebench.harness.runs.checkpoints import Checkpoints
from facebench.harness.storage.progress import Progress

# Runs a job in a process of its own.
Execute = Callable[[Job], Record]


class RunListener(Progress):
    """Who is told of records as they come, and how far a long case is that runs alone."""

    def record(self, record: Record, stored: bool) -> None:
        """Take note of a case that is done.

        Args:
            record: what came of it.
            stored: whether it was stored already.
        """

    def part(self, record: Record, done: int, of: int) -> None:
        """Take note of one process of a case of several.

        Args:
            record: of the process.
            done: how many there are now.
            of: how many there are at least, and once they are done how many at most.
        """

    def so_far(self, record: Record) -> None:
        """Take note of what is known of a case that goes on in a later phase."""

    def begins(self, number: int, of: int) -> None:
        """Take note that a phase begins, and the one before is over.

        Args:
            number: of the phase, from 0.
            of: how many this run has.
        """


NOBODY = RunListener()


@dataclass(eq=False)
class _Open:
    """A case that is not complete yet."""

    job: Job
    parts: list[Record] = field(default_factory=list)

    @property
    def several(self) -> Several | None:
        """None where one process makes the record."""
        return MEASURES[self.job.case.measure].several if self.job.budget.processes > 1 else None

    def process(self) -> Job:
        """Return the job of the next process."""
        return replace(self.job, process=len(self.parts))


def ahead(
    jobs: Sequence[Job], execute: Execute, parts: Checkpoints, listener: RunListener
) -> Iterator[Record]:
    """Run processes that come before those of the other cases, in rounds.

    What they gave is told; their cases go on. A record comes of a case that goes wrong alone.
    """
    waiting = [_Open(job, parts.load(job)) for job in jobs]
    for number in range(max((job.budget.ahead for job in jobs), default=0)):
        for one in _moved_on(waiting, number):
            if len(one.parts) <= number < one.job.budget.ahead:
                record = _process(one, execute, parts, listener)
                if record is not None:
                    waiting.remove(one)
                    yield record
    for one in waiting:
        if one.several is not None and one.parts:
            listener.so_far(_merged(one.job, one.parts, one.several))


def run(
    jobs: Sequence[Job], execute: Execute, parts: Checkpoints, listener: RunListener
) -> Iterator[Record]:
    """Run jobs on one device, process k of every case before process k + 1 of any.

    The order within a round is the last one's, moved on by one. A case is done when its
    measure has enough processes; one process that goes wrong is its case's end.
    """
    waiting = [_Open(job, parts.load(job)) for job in jobs]
    for number in count():
        if not waiting:
            return
        for one in _moved_on(waiting, number):
            record = _next(one, number, execute, parts, listener)
            if record is not None:
                waiting.remove(one)
                yield record


def _moved_on(waiting: Sequence[_Open], number: int) -> list[_Open]:
    first = number % max(len(waiting), 1)
    return [*waiting[first:], *waiting[:first]]


def _next(
    one: _Open, number: int, execute: Execute, parts: Checkpoints, listener: RunListener
) -> Record | None:
    """Return the case's record, where it is complete with the process of this number.

    Processes that ran ahead of the others are not of these rounds.
    """
    if len(one.parts) <= number + one.job.budget.ahead:
        record = _process(one, execute, parts, listener)
        if record is not None:
            return record
    several = one.several
    if several is None or not several.enough(one.job, one.parts):
        return None
    return _merged(one.job, one.parts, several)


def _process(
    one: _Open, execute: Execute, parts: Checkpoints, listener: RunListener
) -> Record | None:
    """Run a case's next process; a record, where that is its end."""
    process = one.process()
    record = execute(process)
    if one.several is None:
        return record
    if record.status != "ok":
        where = f"process {len(one.parts) + 1} of its case: {record.reason}"
        return replace(record, reason=where)
    parts.keep(process, record)
    one.parts.append(record)
    budget, done = one.job.budget, len(one.parts)
    of = budget.processes if done <= budget.processes else budget.most_processes
    listener.part(record, done, of)
    return None


def _merged(job: Job, parts: Sequence[Record], several: Several) -> Record:
    try:
        return several.merge(job, parts)
    except FacebenchError as error:
        reason = str(error)
    except Exception as error:  # a defect of ours must not stop the run
        reason = f"{type(error).__name__}: {error}"
    return failed(job, reason)
