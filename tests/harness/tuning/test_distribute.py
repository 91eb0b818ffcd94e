"""Workloads shared by several workers: each is tuned once, and a worker that is lost loses none."""

import threading
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from facebench.architectures.errors import BadInputError, LostError, UnavailableError
from facebench.harness.compiler import records, tiling, workload
from facebench.harness.compiler.workload import (
    Convolution,
    Depthwise,
    Pooling,
    Window,
    Workload,
    key,
)
from facebench.harness.tuning import distribute
from tests.harness.tuning.fakes import REGISTERS, WORK
from tests.harness.tuning.test_tuning_run import Silent

WORKS: list[Workload] = [
    Depthwise(1, (side, side), (side, side), 8, Window((3, 3), (1, 1), (1, 1)))
    for side in range(4, 16)
]


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACEBENCH_TUNING", str(tmp_path))
    return tmp_path


class FakeWorker:
    """Makes records up, until it is lost."""

    def __init__(self, name: str, lives: int = 99, error: Exception | None = None) -> None:
        self.name = name
        self.asked: list[Workload] = []
        self.closed = False
        self._lives = lives
        self._error = error or LostError("it answers no more")
        self._busy = threading.Lock()

    def tune(self, work: Workload) -> dict[str, Any]:
        assert self._busy.acquire(blocking=False), "two workloads at a time"
        try:
            self.asked.append(work)
            if not self._lives:
                raise self._error
            self._lives -= 1
            made = records.made(
                work, tiling.best(work, REGISTERS), cost=1.0, scheduled=2.0, unit="seconds",
                how=self.name, trials=4,
            )  # fmt: skip
            return {"record": asdict(made), "warnings": []}
        finally:
            self._busy.release()

    def close(self) -> None:
        self.closed = True


def test_each_workload_is_tuned_once_and_kept() -> None:
    workers = [FakeWorker(name) for name in "abc"]
    watcher = Silent()
    found, failures = distribute.run("some-target", WORKS, workers, watcher)
    assert Counter(work for worker in workers for work in worker.asked) == Counter(WORKS)
    assert failures == []
    assert set(records.load("some-target")) == {key(work) for work in WORKS}
    assert {record.workload for record in found} == set(watcher.done)
    assert all(worker.closed for worker in workers)


def test_a_worker_that_is_lost_gives_back_what_it_had() -> None:
    workers = [
        FakeWorker(""),
        FakeWorker("lost", 1),
        FakeWorker("refuses", 0, UnavailableError("no")),
    ]
    found, failures = distribute.run("some-target", WORKS, workers, Silent())
    assert failures == []
    assert {record.workload for record in found} == {key(work) for work in WORKS}


def test_a_workload_that_takes_two_workers_along_is_given_up() -> None:
    workers = [FakeWorker("c"), FakeWorker("b", lives=0), FakeWorker("a", lives=0)]
    found, failures = distribute.run("some-target", [WORK], workers, Silent())
    assert found == []
    assert "2 workers were lost while they tuned it (it answers no more)" in failures[0]
    assert workers[0].asked == []


def test_where_no_worker_is_left_it_says_why_and_keeps_what_was_found() -> None:
    with pytest.raises(UnavailableError, match="is left: only: it answers no more"):
        distribute.run("some-target", WORKS, [FakeWorker("only", lives=3)], Silent())
    assert len(records.load("some-target")) == 3


def test_a_target_is_tuned_for_by_one_process_at_a_time() -> None:
    with (
        records.claim("some-target"),
        records.claim("another"),
        pytest.raises(BadInputError, match="another process tunes for some-target"),
        records.claim("some-target"),
    ):
        pass
    with records.claim("some-target"):
        pass


@pytest.mark.parametrize(
    "work",
    [
        WORK,
        Convolution(
            2, (8, 9), (4, 5), 6, 12, Window((3, 3), (2, 2), (1, 1), (2, 1)), groups=3, shuffle=2,
            planar=True, epilogue=("add", "prelu"),
        ),
        Pooling(1, (7, 7), (1, 1), 8, Window((7, 7)), "mean"),
    ],
)  # fmt: skip
def test_a_workload_comes_back_from_json(work: Workload) -> None:
    assert workload.from_json(workload.to_json(work)) == work
