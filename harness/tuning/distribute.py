"""Tunes many workloads with several workers at once; one process writes what is found."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from facebench.architectures.errors import LostError, UnavailableError
from facebench.harness.compiler import records
from facebench.harness.compiler.records import TuningRecord
from facebench.harness.compiler.workload import Workload
from facebench.harness.tuning.listener import TuningListener
from facebench.harness.tuning.worker_process import TuningWorker
from facebench.harness.tuning.workloads import in_short

# Workers that a workload may take along before it is given up.
_TRIES = 2

# Seconds between two looks at whether Ctrl-C was pressed.
_PATIENCE_S = 1.0


def run(
    target: str,
    works: Sequence[Workload],
    workers: Sequence[TuningWorker],
    listener: TuningListener,
) -> tuple[list[TuningRecord], list[str]]:
    """Tune workloads, each by one of the workers; the records, and why others have none.

    A worker that is lost gives back what it had in hand, and the others go on.

    Args:
        target: whose records are made.
        works: each once.
        workers: those that tune; they are closed at the end.
        listener: told of each workload that is done.

    Raises:
        UnavailableError: no worker is left.
        BadInputError: records cannot be written.
    """
    waiting, idle = deque(works), list(workers)
    pending: dict[Future[dict[str, Any]], tuple[TuningWorker, Workload]] = {}
    found: list[TuningRecord] = []
    failures: list[str] = []
    losses: Counter[Workload] = Counter()
    reason = ""
    pool = ThreadPoolExecutor(len(workers))

    def fail(work: Workload, why: str) -> None:
        listener.failed(in_short(work), why)
        failures.append(f"{in_short(work)}: {why}")

    try:
        while waiting or pending:
            while waiting and idle:
                worker, work = idle.pop(), waiting.popleft()
                pending[pool.submit(worker.tune, work)] = worker, work
            if not pending:
                raise UnavailableError(f"no worker to tune for {target} is left: {reason}")
            for future in wait(pending, _PATIENCE_S, FIRST_COMPLETED).done:
                worker, work = pending.pop(future)
                try:
                    answer = future.result()
                except (LostError, UnavailableError) as error:
                    reason = f"{worker.name}: {error}"
                    listener.say(f"{reason}; it is left out")
                    losses[work] += isinstance(error, LostError)
                    if losses[work] < _TRIES:
                        waiting.appendleft(work)
                    else:
                        fail(work, f"{_TRIES} workers were lost while they tuned it ({error})")
                    continue
                idle.append(worker)
                for warning in answer["warnings"]:
                    listener.say(warning)
                if "failed" in answer:
                    fail(work, answer["failed"])
                    continue
                record = TuningRecord(**answer["record"])
                records.save(target, record)
                listener.tuned(in_short(work), record)
                found.append(record)
    finally:
        for worker in workers:
            worker.close()
        pool.shutdown(cancel_futures=True)
    return found, failures
