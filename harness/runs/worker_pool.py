"""Jobs run in processes of their own, so that none touches another's figures, or takes it along."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Self
from weakref import WeakSet

from facebench.harness.machine.fork_server import ForkServers, Parent
from facebench.harness.machine.processes import (
    LOST,
    ChildProcess,
    Ending,
    python_module,
    thread_variables,
)
from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import failed
from facebench.harness.records.record import Record, from_json
from facebench.harness.runtimes.registry import imported_before_fork
from facebench.harness.storage.progress import Progress
from facebench.harness.storage.serialization import parse_json

_WORKER = "facebench.harness.runs.worker"

# Seconds that a process may take to end once it has nothing more to say.
_END_S = 10.0


# Processes that run jobs now; those of threads that nobody waits for any more too.
_running: WeakSet[ChildProcess] = WeakSet()

# Starts a process that runs jobs; it has been told nothing yet.
Start = Callable[[Sequence[Job]], ChildProcess]


def execute(
    jobs: Sequence[Job], progress: Progress, start: Start | None = None
) -> Iterator[Record]:
    """Run jobs one after the other in a process; a record each, in order, as it comes.

    A process that dies takes only the job in hand with it: that one is
    recorded as failed, and the rest go on in a new process. A job whose
    device was lost is tried a second time first.

    Args:
        jobs: not empty; all for as many threads.
        progress: told how far a long case is.
        start: starts its process; by default afresh.
    """
    waiting = list(jobs)
    tried_again: Job | None = None
    while waiting:
        limit_s = waiting[0].limit_s
        with (start or _afresh)(waiting) as worker:
            _running.add(worker)
            _tell(worker, waiting)
            for record in _records(worker, limit_s, progress):
                waiting.pop(0)
                yield record
            if not waiting:
                return
            end = worker.ended(_END_S)
        if end.code == LOST and tried_again is not waiting[0]:
            tried_again = waiting[0]
            continue
        yield failed(waiting.pop(0), _hung(limit_s, end) if worker.hung else _reason(end))


def stop() -> None:
    """End all processes that run jobs, of a run that was given up in a process that goes on."""
    for worker in list(_running):
        worker.kill()


class Forks:
    """Starts processes by forking, of jobs that run alone: no two of a case from one server.

    One of several processes of a case imports its runtime itself: figures of start-up and memory
    are those of such processes.

    Args:
        jobs: that it will start processes of.
    """

    def __init__(self, jobs: Sequence[Job] = ()) -> None:
        forking = [job for job in jobs if _may_fork(job)]
        self._servers = ForkServers(
            lambda imported: python_module(_WORKER, str(os.getpid()), imported),
            first=[_parent(job) for job in forking],
            later=[_parent(replace(job, process=job.budget.ahead + 1)) for job in forking],
        )

    def start(self, jobs: Sequence[Job]) -> ChildProcess:
        """Return a new process for a job."""
        (job,) = jobs
        if not _may_fork(job):
            return _afresh(jobs)
        return self._servers.start(job.case.key, _parent(job)) or _afresh(jobs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._servers.close()


def _may_fork(job: Job) -> bool:
    """Return whether it has one thread: others are there once NumPy is imported, and survive no
    fork.
    """
    return job.case.threads == 1


def _parent(job: Job) -> Parent:
    case = job.case
    ready = case.runtime and not job.begins_turns
    imported = imported_before_fork(case.runtime) if ready else ""
    return Parent(imported, tuple(thread_variables(case.threads).items()))


def start_s() -> float:
    """Return seconds that a process takes to start and to end again, now: one that is given
    nothing.
    """
    began = time.perf_counter()
    with _afresh([]) as worker:
        _tell(worker, [])
        worker.ended()
    return time.perf_counter() - began


def _afresh(jobs: Sequence[Job]) -> ChildProcess:
    return ChildProcess(
        python_module(_WORKER, str(os.getpid())),
        environment=os.environ | thread_variables(jobs[0].case.threads if jobs else 1),
    )


def _tell(worker: ChildProcess, jobs: Sequence[Job]) -> None:
    worker.send(json.dumps([job.to_json() for job in jobs]).encode(), last=True)


def _records(worker: ChildProcess, limit_s: float, progress: Progress) -> Iterator[Record]:
    """Yield what a worker sends until it ends, or is stopped because it said nothing for too
    long.
    """
    while line := worker.line(limit_s):
        data = parse_json(line)
        if "done" in data:
            progress.at(data["done"], data["total"])
        else:
            yield from_json(data)


def _hung(limit_s: float, end: Ending) -> str:
    return (
        f"it hung: its process said nothing for {limit_s:g} s and was stopped "
        f"(limit_s in a plan sets how long it may){end.last_words}"
    )


def _reason(end: Ending) -> str:
    if end.code == LOST and end.said:
        return end.said
    if not end.signal:
        return (
            f"its process ended with exit code {end.code} before its record was there"
            f"{end.last_words}"
        )
    if end.signal == "SIGKILL":
        return (
            "its process was ended by SIGKILL: by the system, where memory was short, or by "
            f"somebody{end.last_words}"
        )
    return f"its process was ended by {end.signal}: it crashed{end.last_words}"
