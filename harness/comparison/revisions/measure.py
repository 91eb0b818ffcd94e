"""From the names of revisions to the sides of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from facebench.harness.comparison import extract
from facebench.harness.comparison.compare import Side
from facebench.harness.comparison.entry import Entry
from facebench.harness.comparison.interleaved.python_environment import PythonEnvironment
from facebench.harness.comparison.revisions import (
    checkout,
    install,
    kept,
    plans,
    turns,
)
from facebench.harness.comparison.revisions.checkout import Revision
from facebench.harness.comparison.revisions.environment import python_environment
from facebench.harness.comparison.revisions.git import Repository, repository
from facebench.harness.comparison.revisions.install import Maker
from facebench.harness.comparison.revisions.plans import Halves
from facebench.harness.records.record import Record
from facebench.harness.records.store import Store
from facebench.harness.storage import cache, fingerprints
from facebench.harness.storage.progress import Progress

# Of rounds, where nobody says how many.
ROUNDS = 6

# What a revision may change, and is compared for: the machine is the same one.
CHANGES = frozenset({"versions", "weights", "label"})


@dataclass(frozen=True)
class Wanted:
    """It says what is to be measured of each revision.

    Attributes:
        plan: as in `plans.halves`.
        rounds: in which what is timed is repeated.
        measures: only these; all where there are none.
        keep: folder for each side's records, or None.
    """

    plan: str
    rounds: int = ROUNDS
    measures: tuple[str, ...] = ()
    keep: Path | None = None


@dataclass(frozen=True)
class Measured:
    """It holds what came of the measurements.

    Attributes:
        sides: in the order of the names.
        how: in words.
    """

    sides: tuple[Side, ...]
    how: str


def measure(
    names: Sequence[str], wanted: Wanted, progress: Progress, make: Maker = install.make
) -> Measured:
    """Measure revisions of the repository one stands in, side by side.

    What was measured of the same revisions with the same plan today is gone on with, so an
    interrupted run loses the round in hand.

    Args:
        names: `git:` and a revision, one or two.
        wanted: what is measured.
        progress: told what is going on.
        make: makes environments.

    Raises:
        UnavailableError: there is no git, or no checkout here.
        BadInputError: a revision is unknown, has no such plan, or can't be installed.
    """
    where = repository(Path.cwd())
    revisions = [checkout.resolve(where, name) for name in names]
    environments = [_environment(where, revision, progress, make) for revision in revisions]
    halves = [plans.halves(wanted.plan, one, wanted.measures) for one in environments]
    folder = kept.folder("rounds") / _key(where, revisions, environments, halves)
    waiting = "waiting for another facebench that measures: two at once would disturb each other"
    with kept.locked(kept.folder("rounds") / ".lock", lambda: progress.say(waiting)):
        records, rounds = turns.measure(environments, halves, wanted.rounds, folder, progress)
    if wanted.keep is not None:
        _keep(records, wanted.keep)
    sides = [
        Side(environment.name, tuple(_entries(side, wanted)))
        for environment, side in zip(environments, records, strict=True)
    ]
    return Measured(tuple(sides), _how(len(environments), rounds))


def _environment(
    where: Repository, revision: Revision, progress: Progress, make: Maker
) -> PythonEnvironment:
    tree = checkout.check_out(where, revision, progress)
    return python_environment(tree, where.prefix, revision, progress, make)


def _key(
    where: Repository,
    revisions: Sequence[Revision],
    environments: Sequence[PythonEnvironment],
    halves: Sequence[Halves],
) -> str:
    """Return all that rounds depend on; not their number, so that more of them go on."""
    sides = [
        (revision.key, str(environment.python), dict(environment.variables), asdict(half))
        for revision, environment, half in zip(revisions, environments, halves, strict=True)
    ]
    # Of a side that this facebench measures: its own code.
    return cache.digest(sides, str(where.prefix), fingerprints.whole())


def _entries(records: Sequence[Record], wanted: Wanted) -> list[Entry]:
    measures = wanted.measures
    found = extract.entries(records)
    return [entry for entry in found if not measures or entry.case.measure in measures]


def _keep(records: Sequence[Sequence[Record]], folder: Path) -> None:
    for name, side in zip(("base", "new"), records, strict=False):
        path = folder / f"{name}.jsonl"
        path.unlink(missing_ok=True)
        store = Store(path)
        for record in side:
            store.append(record)


def _how(sides: int, rounds: int) -> str:
    where = "measured side by side here" if sides > 1 else "measured here"
    turn = " in turns" if sides > 1 else ""
    return f"{where}, {rounds} round{'s' * (rounds != 1)}{turn}" if rounds else where
