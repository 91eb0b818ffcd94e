"""How long a plan will take: from times that records tell, by simulating the schedule."""

from __future__ import annotations

import heapq
import itertools
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.devices.registry import DEVICES
from harness.job import Job
from harness.measures.registry import MEASURES
from harness.networks import Network
from harness.record import Record
from harness.runner import in_order
from harness.store import latest

# Where a case's time comes from, the surest first.
SOURCES = ("this case", "its kind", "its measure", "unknown")


@dataclass(frozen=True)
class Expected:
    """A job that is to run, how many seconds it is expected to take, and why."""

    job: Job
    seconds: float
    source: str


@dataclass(frozen=True)
class Row:
    """What a plan holds of one measure.

    Attributes:
        measure: its name.
        cases: all of them.
        stored: of these, in the records already.
        seconds: of what is to run, one after the other.
        sources: of what is to run, how many cases have their time from each of `SOURCES`.
    """

    measure: str
    cases: int
    stored: int
    seconds: float
    sources: dict[str, int]


class Times:
    """What records tell of how long cases take.

    A case takes what it took before; else the median of its kind (measure, runtime, device
    and threads), else that of its measure. What no record tells takes no time here, and is
    said to be unknown. A record's time is that of its work: starting a process comes to it,
    for each process of a case that runs alone.

    Args:
        records: any.
        start_s: seconds that a process of ours takes to start.
    """

    def __init__(self, records: Sequence[Record], start_s: float = 0.0) -> None:
        self._start_s = start_s
        done = [record for record in latest(records) if record.status == "ok"]
        levels: list[Callable[[Any], Any]] = [
            lambda case: case.key,
            _kind,
            lambda case: case.measure,
        ]
        self._levels = [(of, _medians(done, of)) for of in levels]

    def expect(self, job: Job) -> Expected:
        """How long a job will take."""
        for source, (of, known) in zip(SOURCES, self._levels, strict=False):
            if (seconds := known.get(of(job.case))) is not None:
                return Expected(job, seconds + self._start_s * _processes(job), source)
        return Expected(job, 0.0, SOURCES[-1])


def _processes(job: Job) -> int:
    """How many processes a case starts at least; what is not exclusive shares one."""
    measure = MEASURES[job.case.measure]
    if not measure.exclusive:
        return 0
    return job.budget.processes if measure.several else 1


def _kind(case: Any) -> Any:
    return case.measure, case.runtime, case.device, case.threads


def _medians(records: Sequence[Record], of: Callable[[Any], Any]) -> dict[Any, float]:
    found = defaultdict(list)
    for record in records:
        found[of(record.case)].append(record.duration_s)
    return {key: statistics.median(times) for key, times in found.items()}


def waiting(jobs: Sequence[Job], stored: Sequence[Record]) -> list[Job]:
    """The jobs that a run would not find in its records."""
    known = {record.fingerprint for record in stored if record.status != "failed"}
    return [job for job in jobs if job.fingerprint not in known]


def rows(jobs: Sequence[Job], expected: Sequence[Expected]) -> list[Row]:
    """What a plan holds, by measure, in the order in which a run obtains them."""
    made = []
    for measure in dict.fromkeys(job.case.measure for job in in_order(jobs)):
        cases = sum(job.case.measure == measure for job in jobs)
        own = [one for one in expected if one.job.case.measure == measure]
        sources = {source: sum(one.source == source for one in own) for source in SOURCES}
        made.append(Row(measure, cases, cases - len(own), sum(o.seconds for o in own), sources))
    return made


@dataclass(eq=False)
class _Place:
    """Where tasks run: a machine with its cores, or all boards of one device."""

    free: int


def simulate(
    expected: Sequence[Expected], machines: int, cores: int, boards: int | None = None
) -> float:
    """Seconds that a run takes on so many machines of so many cores each.

    As a run does: cases wait for their network's export; what is timed has the first machine
    to itself; what is exclusive and not timed has any; the rest takes a core each. Each board
    runs a case at a time.

    Args:
        expected: what is to run.
        machines: of the cluster; on one, stages come one after the other.
        cores: of each.
        boards: that each remote device lends; by default as many as it says.
    """
    places = [_Place(cores) for _ in range(machines)]
    lent = {
        device: _Place(boards if boards is not None else DEVICES[device].facts().slots)
        for device in {one.job.case.device for one in expected if _is_remote(one.job)}
    }
    order = {id(one): i for i, one in enumerate(_ordered(expected))}
    left = sorted(expected, key=lambda one: order[id(one)])
    exporting = {one.job.network for one in expected if one.job.case.measure == "export"}
    running: list[tuple[float, int, Expected, _Place, int]] = []
    now, number = 0.0, itertools.count()
    while left or running:
        for one in list(left):
            if not _may_start(one, exporting, left, running, machines):
                continue
            # While anything is timed there, a cluster keeps one machine free of all else.
            kept = machines > 1 and any(_is_timed(o) for o in [*left, *(r[2] for r in running)])
            place, need = _room(one, places, lent, cores, kept)
            if place is None:
                continue
            place.free -= need
            heapq.heappush(running, (now + one.seconds, next(number), one, place, need))
            left.remove(one)
        now, _, one, place, need = heapq.heappop(running)
        place.free += need
        if one.job.case.measure == "export":
            exporting.discard(one.job.network)
    return now


def _ordered(expected: Sequence[Expected]) -> list[Expected]:
    by_job = {id(one.job): one for one in expected}
    return [by_job[id(job)] for job in in_order([one.job for one in expected])]


def _may_start(
    one: Expected,
    exporting: set[Network],
    left: Sequence[Expected],
    running: Sequence[tuple[float, int, Expected, _Place, int]],
    machines: int,
) -> bool:
    stage = MEASURES[one.job.case.measure].stage
    if machines == 1:
        # One machine goes stage by stage.
        active = [other for _, _, other, _, _ in running]
        return all(MEASURES[o.job.case.measure].stage >= stage for o in [*left, *active])
    return stage == 0 or one.job.network not in exporting


def _room(
    one: Expected, places: Sequence[_Place], lent: dict[str, _Place], cores: int, kept: bool
) -> tuple[_Place | None, int]:
    """Where a job can start now, and how much of that it takes."""
    measure = MEASURES[one.job.case.measure]
    if _is_remote(one.job):
        board = lent[one.job.case.device]
        return (board if board.free else None), 1
    need = cores if measure.exclusive else 1
    able = places[:1] if measure.timed else places[1:] if kept else places
    return next((place for place in able if place.free >= need), None), need


def _is_timed(one: Expected) -> bool:
    return MEASURES[one.job.case.measure].timed and not _is_remote(one.job)


def _is_remote(job: Job) -> bool:
    return MEASURES[job.case.measure].exclusive and DEVICES[job.case.device].remote
