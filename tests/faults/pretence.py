"""A run whose processes take no time and always find the same: all else in it is real.

So each point of it can be tried, in a fork of the test's own process.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

from facebench.harness.measures.job import Job
from facebench.harness.models.networks import Network
from facebench.harness.records.case import Case
from facebench.harness.records.cost import Cost
from facebench.harness.records.record import Record
from facebench.harness.records.results import Result
from facebench.harness.records.store import Store
from facebench.harness.runs import runner
from facebench.harness.runs.checkpoints import claim
from facebench.harness.runs.rounds import RunListener
from facebench.harness.runs.worker_pool import Start
from facebench.harness.storage.progress import Progress
from facebench.harness.timing.sampler import Budget
from tests.harness.measures.times import noise, part, process

NETWORK = Network("mobilefacenet", "random:0")
BUDGET = Budget(processes=2, known_to=1.0)
COST = Cost(3, 2, {"conv+linear": 9}, 4, 5, 6, 7, {"fp32": 8}, (112, 96), 128)

# Modules whose every line is a point at which a run may be killed.
_WATCHED = (
    "harness/storage/cache.py",
    "harness/storage/writing.py",
    "harness/runs/checkpoints.py",
    "harness/runs/rounds.py",
    "harness/runs/runner.py",
    "harness/records/store.py",
)


def jobs(*names: str) -> list[Job]:
    """Timed cases in two processes each, and one that is exact."""
    timed = [Case("latency", name, runtime="ncnn") for name in names or ("a", "b")]
    cases = [Case("cost", "a"), *timed]
    return [Job(case, NETWORK, fingerprint=f"f {case}", budget=BUDGET) for case in cases]


def found(job: Job) -> Record:
    """What a process always finds: of its case and its number."""
    seed = sum(job.case.network.encode()) * 10 + job.process
    result: Result = process(noise(5.0, seed, samples=40))
    if job.case.measure == "cost":
        result = COST
    return replace(part(result), case=job.case, fingerprint=job.fingerprint)


def note(path: Path, line: str) -> None:
    """Add a line that outlasts a kill; the limit of a disk that plays full is not the test's."""
    limit, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))


def pretend(executed: Path) -> Callable[..., Iterator[Record]]:
    """What stands for `workers.execute`; it notes what it is asked for."""

    def execute(jobs: Sequence[Job], progress: Progress, *start: Start) -> Iterator[Record]:
        for job in jobs:
            note(executed, f"{job.case} {job.process}")
            yield found(job)

    return execute


@dataclass(frozen=True)
class _Noting(RunListener):
    """Notes in files what it is told."""

    folder: Path

    def record(self, record: Record, stored: bool) -> None:
        note(self.folder / "told", record.case.key)

    def part(self, record: Record, done: int, of: int) -> None:
        note(self.folder / "told_of_parts", record.case.key)


@dataclass(frozen=True)
class Pretence:
    """A folder with a results file, and what was told of the runs that wrote it."""

    folder: Path

    @property
    def store(self) -> Store:
        return Store(self.folder / "out" / "records.jsonl")

    def run(self, *names: str) -> list[Record]:
        """As `facebench run` does, telling what is done to a file."""
        self.store.mend()
        return runner.run(
            jobs(*names),
            self.store,
            _Noting(self.folder),
        )

    def told(self) -> set[str]:
        """Keys of the cases that were reported as done."""
        return set(_lines(self.folder / "told"))

    def kept(self) -> Counter[str]:
        """How many processes of each case were reported as done."""
        return Counter(_lines(self.folder / "told_of_parts"))

    def executed(self) -> Counter[str]:
        """How often each process was asked for."""
        return Counter(_lines(self.folder / "executed"))

    def require_nothing_lost(self) -> None:
        """All that was reported is there and whole, before anything is run again."""
        self.store.mend()
        stored = {record.case.key: record for record in self.store.read()}
        assert self.told() <= set(stored)
        with claim(self.store.path) as parts:
            for job in jobs():
                if (record := stored.get(job.case.key)) is not None:
                    assert record.result == whole(job).result
                else:
                    assert len(parts.load(job)) >= self.kept()[job.case.key]

    def require_complete(self, records: Sequence[Record]) -> None:
        """The records of an undisturbed run, each once, and nothing left over."""
        wanted = [whole(job) for job in jobs()]
        assert [record.result for record in records] == [record.result for record in wanted]
        stored = self.store.read()
        assert sorted(r.case.key for r in stored) == sorted(r.case.key for r in wanted)
        assert not [*self.folder.glob("cache/parts/*")]
        assert not [*self.folder.glob("out/*.mending")]


def whole(job: Job) -> Record:
    """The record of a case, of all its processes."""
    from facebench.harness.measures import merging

    if job.case.measure == "cost":
        return found(job)
    parts = [found(replace(job, process=number)) for number in range(job.budget.processes)]
    return merging.merge(job, parts)


def in_fork(work: Callable[[], object]) -> int:
    """Do something in a copy of this process.

    Returns:
        Its wait status: see `os.waitstatus_to_exitcode`.
    """
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 70
    try:
        work()
        code = 0
    finally:
        os._exit(code)


def killed_at(point: int, work: Callable[[], object]) -> bool:
    """Do something in a copy of this process that is killed at a line of the watched modules.

    Returns:
        Whether it came to that line; False says that it ended before.
    """

    def kill(passed: int) -> None:
        if passed == point:
            os.kill(os.getpid(), signal.SIGKILL)

    code = in_fork(lambda: _at_each_line(kill, work))
    assert code in (0, -signal.SIGKILL)
    return code != 0


def points(work: Callable[[], object]) -> int:
    """How many lines of the watched modules something comes to, in a copy of this process."""
    reading, writing = os.pipe()

    def count() -> None:
        lines: list[int] = []
        _at_each_line(lines.append, work)
        os.write(writing, str(len(lines)).encode())

    assert in_fork(count) == 0
    os.close(writing)
    with os.fdopen(reading) as file:
        return int(file.read())


def _at_each_line(passing: Callable[[int], object], work: Callable[[], object]) -> None:
    """Tell the number of each line of the watched modules before it is run."""
    passed = 0

    def line(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal passed
        if event == "line":
            passing(passed)
            passed += 1
        return line

    def call(frame: FrameType, event: str, argument: Any) -> Any:
        return line if frame.f_code.co_filename.endswith(_WATCHED) else None

    threading.settrace(call)
    sys.settrace(call)
    work()


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
