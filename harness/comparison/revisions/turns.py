"""Rounds in which the sides take turns, kept one by one: what was done is not done again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facebench.harness.comparison.interleaved.python_environment import PythonEnvironment
from facebench.harness.comparison.revisions import kept, launch, together
from facebench.harness.comparison.revisions.plans import Halves
from facebench.harness.measures.registry import MEASURES
from facebench.harness.records.record import Record
from facebench.harness.records.store import RECORDS, Store
from facebench.harness.storage.progress import Progress, ProgressShare


def measure(
    environments: Sequence[PythonEnvironment],
    plans: Sequence[Halves],
    rounds: int,
    folder: Path,
    progress: Progress,
) -> tuple[list[list[Record]], int]:
    """Return records of each side: what is exact once, what is timed with one process a case and
    round.

    Sides whose facebench can do so take turns many times a second, case by case. Otherwise
    rounds are whole runs: who begins changes from one to the next, so what drifts favours
    none, and a round is kept when all sides have it.

    Args:
        environments: the sides.
        plans: one for each.
        rounds: how many.
        folder: where they are kept.
        progress: told how far it is.

    Returns:
        A list of records for each side, and how many rounds there are in them: none where the
        plans hold nothing that is timed.
    """
    known: list[list[Record]] = [[] for _ in environments]
    if any(plan.exact for plan in plans):
        step = _TurnStep("exact figures", folder / "exact", 0, len(environments), progress)
        exact = [plan.exact for plan in plans]
        known = _round(environments, exact, known, range(len(environments)), step)
    texts = [plan.timed for plan in plans]
    if len(environments) > 1 and any(texts) and all(map(together.able, environments)):
        timed = together.measure(environments, texts, rounds, folder / "together", progress)
        both = [[*old, *more] for old, more in zip(known, timed, strict=True)]
        return both, rounds if any(timed) else 0
    records = known
    for number in range(rounds if any(texts) else 0):
        order = [(number + side) % len(environments) for side in range(len(environments))]
        total = rounds * len(environments)
        step = _TurnStep(
            "rounds", folder / str(number), number * len(environments), total, progress
        )
        found = _round(environments, texts, known, order, step)
        new = list(map(_new, found, known))
        records = [[*old, *more] for old, more in zip(records, new, strict=True)]
        # What a run brings along that is exact, the next ones find done.
        known = [[*old, *_untimed(more)] for old, more in zip(known, new, strict=True)]
        if not any(MEASURES[record.case.measure].in_turns for side in new for record in side):
            return records, 0
    return records, rounds if any(texts) else 0


class _TurnStep:
    """One folder of records for each side, that is there whole or not at all."""

    def __init__(self, name: str, folder: Path, done: int, total: int, progress: Progress) -> None:
        self.folder = folder
        self._name = name
        self._done = done
        self._total = total
        self._progress = progress
        progress.at(done, total, name)

    def progress(self, environment: PythonEnvironment) -> Progress:
        """Who is told how far a side's run is."""
        return _SideProgress(self._progress, self._done, self._total, self._name, environment.name)

    def side_done(self) -> None:
        """Go on to the next side."""
        self._done += 1
        self._progress.at(self._done, self._total, self._name)


@dataclass(frozen=True)
class _SideProgress(ProgressShare):
    """A side's run, one of several equal shares of a step; it is told by the side's name."""

    name: str

    def newest(self, text: str) -> None:
        self.whole.newest(f"{self.name}: {text}")


def _round(
    environments: Sequence[PythonEnvironment],
    texts: Sequence[str],
    known: Sequence[Sequence[Record]],
    order: Sequence[int],
    step: _TurnStep,
) -> list[list[Record]]:
    """Return each side's records, in the order of the sides; from the folder where it is
    complete.
    """
    folder = step.folder
    if not kept.is_fresh(folder):
        kept.empty(folder)
        for side in order:
            one = environments[side]
            launch.run(one, texts[side], folder / str(side), known[side], step.progress(one))
            step.side_done()
        kept.complete(folder)
    return [Store(folder / str(side) / RECORDS).read() for side in range(len(environments))]


def _new(found: Sequence[Record], known: Sequence[Record]) -> list[Record]:
    cases = {record.case.key for record in known}
    return [record for record in found if record.case.key not in cases]


def _untimed(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if not MEASURES[record.case.measure].in_turns]
