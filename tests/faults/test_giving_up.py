"""A run that is given up waits for nothing that runs beside it."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from facebench.architectures.errors import BadInputError
from facebench.harness.measures.job import Job
from facebench.harness.models.networks import Network
from facebench.harness.records.record import Record
from facebench.harness.records.store import Store
from facebench.harness.runs import runner, worker_pool
from facebench.harness.runs.worker_pool import Start
from facebench.harness.storage.progress import Progress
from tests.faults.pretence import Pretence, found, jobs


@pytest.mark.parametrize(
    "error", [BadInputError("cannot write: the disk is full"), KeyboardInterrupt()]
)
def test_it_ends_though_another_lane_is_in_the_middle_of_a_case(
    pretence: Pretence, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    released, ended = threading.Event(), threading.Event()

    def execute(jobs: Sequence[Job], progress: Progress, *start: Start) -> Iterator[Record]:
        for job in jobs:
            if job.case.network == "slow":
                released.wait(60)
                ended.set()
            yield found(job)

    def give_up(self: Store, record: Record) -> None:
        raise error

    monkeypatch.setattr(worker_pool, "execute", execute)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 1})
    monkeypatch.setattr(Store, "append", give_up)
    exact, *_ = jobs()
    slow = replace(
        exact, case=replace(exact.case, network="slow"), network=Network("slow", "random:0")
    )
    with pytest.raises(type(error)):
        runner.run([exact, replace(slow, fingerprint="slow")], pretence.store)
    assert not ended.is_set()
    released.set()
