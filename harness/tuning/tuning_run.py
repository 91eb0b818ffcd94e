"""Tunes many workloads for one target; what is found is kept as it is found."""

from __future__ import annotations

from collections.abc import Sequence

from facebench.architectures.errors import WrongAnswerError
from facebench.harness.compiler import records
from facebench.harness.compiler.records import TuningRecord
from facebench.harness.compiler.workload import Workload, key
from facebench.harness.tuning import places
from facebench.harness.tuning.costs import TilingCost
from facebench.harness.tuning.interruption import noticed
from facebench.harness.tuning.listener import TuningListener
from facebench.harness.tuning.places import Goal
from facebench.harness.tuning.search import MODEL, Trials
from facebench.harness.tuning.tuner import enough, known, proposed, tune
from facebench.harness.tuning.workloads import in_short


def left(goal: Goal, works: Sequence[Workload], trials: int, missing: bool) -> list[Workload]:
    """Return those that have no record yet, or one of fewer trials.

    A record whose tiling the kernel cannot have is none.

    Args:
        missing: a record is enough, of however few trials.

    Raises:
        BadInputError: a file of records is damaged.
    """
    found = records.load(goal.records)

    def done(work: Workload) -> bool:
        if known(found, work, goal.kernels) is None:
            return False
        return missing or enough(found[key(work)], work, goal.kernels, trials)

    return [work for work in works if not done(work)]


def run(
    goal: Goal, works: Sequence[Workload], cost: TilingCost, trials: int, listener: TuningListener
) -> tuple[list[TuningRecord], list[str]]:
    """Tune workloads one after the other; the records, and why others have none.

    Each record is written before the next workload's search begins.

    Raises:
        LostError: the device answers no more.
        BadInputError: records cannot be written.
    """
    found: list[TuningRecord] = []
    failures: list[str] = []
    before = [records.load(goal.records), *places.alike(goal)]
    with noticed() as check_interruption:
        for work in works:
            name = in_short(work)

            def listen(done: Trials, name: str = name) -> None:
                check_interruption()
                if MODEL in done.costs:
                    best, scheduled = done.costs[done.best], done.costs[MODEL]
                    listener.trying(name, done.count, best, scheduled, cost.unit)

            try:
                tilings = proposed(before, work, goal.kernels)
                record = tune(work, cost, trials, listen, listener.say, tilings)
                check_interruption()
            except WrongAnswerError as error:
                check_interruption()
                listener.failed(name, str(error))
                failures.append(f"{name}: {error}")
            else:
                records.save(goal.records, record)
                listener.tuned(name, record)
                found.append(record)
    return found, failures
