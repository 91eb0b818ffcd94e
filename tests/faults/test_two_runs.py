"""Runs that write to one results file at the same time, one of which may be killed."""

import json
import os
import random
import signal
import time

import pytest

from facebench.harness.runs import worker_pool
from tests.faults.pretence import Pretence, in_fork, jobs, pretend, whole


def at_once(*works: tuple[Pretence, tuple[str, ...]], kill_after_s: float | None = None) -> None:
    """Start runs together; kill the first of them after a while, where that is asked for."""
    running = []
    for pretence, names in works:
        pid = os.fork()
        if not pid:
            code = 70
            try:
                pretence.run(*names)
                code = 0
            finally:
                os._exit(code)
        running.append(pid)
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        os.kill(running[0], signal.SIGKILL)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in running]
    assert set(codes[kill_after_s is not None :]) == {0}


@pytest.fixture(autouse=True)
def takes_time(pretence: Pretence, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process takes a moment, so that the runs overlap."""
    at_once = pretend(pretence.folder / "executed")

    def execute(jobs, progress, *start):  # type: ignore[no-untyped-def]
        time.sleep(random.SystemRandom().random() / 50)
        yield from at_once(jobs, progress)

    monkeypatch.setattr(worker_pool, "execute", execute)


def require_whole_lines(pretence: Pretence) -> None:
    for line in pretence.store.path.read_bytes().splitlines():
        json.loads(line)


def test_of_the_same_plan_each_stores_its_own_processes(pretence: Pretence) -> None:
    """Records repeat each other exactly, or in the figures of another process: never half."""
    at_once((pretence, ()), (pretence, ()), (pretence, ()))
    require_whole_lines(pretence)
    stored = pretence.store.read()
    assert {record.case.key for record in stored} == {job.case.key for job in jobs()}
    for record in stored:
        (job,) = [job for job in jobs() if job.case == record.case]
        assert record.result == whole(job).result
    # No process is in two records.
    timed = [record for record in stored if record.case.measure == "latency"]
    executed = sum(n for name, n in pretence.executed().items() if name.startswith("latency"))
    assert executed == 2 * len(timed)
    assert not [*pretence.folder.glob("cache/parts/*")]


def test_of_different_plans_each_record_is_there_once(pretence: Pretence) -> None:
    at_once((pretence, ("a", "b")), (pretence, ("c", "d", "e")))
    require_whole_lines(pretence)
    names = [r.case.network for r in pretence.store.read() if r.case.measure == "latency"]
    assert sorted(names) == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize("kill_after_s", [0.01, 0.03, 0.05, 0.07])
def test_one_that_is_killed_takes_nothing_of_the_other_along(
    pretence: Pretence, kill_after_s: float
) -> None:
    at_once((pretence, ("a", "b")), (pretence, ("c", "d")), kill_after_s=kill_after_s)
    pretence.require_nothing_lost()
    names = [r.case.network for r in pretence.store.read() if r.case.measure == "latency"]
    assert sorted(set(names) - {"a", "b"}) == ["c", "d"]
    assert in_fork(pretence.run) == 0
    names = [r.case.network for r in pretence.store.read() if r.case.measure == "latency"]
    assert sorted(names) == ["a", "b", "c", "d"]
