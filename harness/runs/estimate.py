"""Estimates how long a plan will take: from times that records tell, by simulating the schedule."""

from __future__ import annotations

import heapq
import itertools
import statistics
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from facebench.harness.devices.registry import DEVICES
from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import MEASURES, runs_elsewhere, timed_here
from facebench.harness.records.record import Record
from facebench.harness.records.store import latest
from facebench.harness.runs.schedule import cores_on_cluster, in_order, stage, waits_for_export

# Where a case's time comes from, the surest first.
SOURCES = ("this case", "its kind", "its measure", "unknown")


@dataclass(frozen=True)
class Expected:
    """A job that is to run, how many seconds it is expected to take, and why."""

    job: Job
    seconds: float
    source: str


@dataclass(frozen=True)
class EstimateRow:
    """It says what a plan holds of one measure.

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
    """It is what records tell of how long cases take.

    A case takes what it took before; else the median of its kind (measure, runtime, device
    and threads), else that of its measure. What no record tells takes no time here, and is
    said to be unknown. A record's time is that of its work: starting a process comes to it,
    for each process of a case on another device.

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
        """Return how long a job will take."""
        for source, (of, known) in zip(SOURCES, self._levels, strict=False):
            if (seconds := known.get(of(job.case))) is not None:
                return Expected(job, seconds + self._start_s * _processes(job), source)
        return Expected(job, 0.0, SOURCES[-1])


def _processes(job: Job) -> int:
    """Return how many processes a case starts at least: others share one, or are forked."""
    if not runs_elsewhere(job):
        return 0
    return job.budget.processes if MEASURES[job.case.measure].several else 1


def _kind(case: Any) -> Any:
    return case.measure, case.runtime, case.device, case.threads


def _medians(records: Sequence[Record], of: Callable[[Any], Any]) -> dict[Any, float]:
    found = defaultdict(list)
    for record in records:
        found[of(record.case)].append(record.duration_s)
    return {key: statistics.median(times) for key, times in found.items()}


def waiting(jobs: Sequence[Job], stored: Sequence[Record]) -> list[Job]:
    """Return the jobs that a run would not find in its records."""
    known = {record.fingerprint for record in stored if record.status != "failed"}
    return [job for job in jobs if job.fingerprint not in known]


def rows(jobs: Sequence[Job], expected: Sequence[Expected]) -> list[EstimateRow]:
    """Return what a plan holds, by measure, in the order in which a run obtains them."""
    made = []
    for measure in dict.fromkeys(job.case.measure for job in in_order(jobs)):
        cases = sum(job.case.measure == measure for job in jobs)
        own = [one for one in expected if one.job.case.measure == measure]
        sources = {source: sum(one.source == source for one in own) for source in SOURCES}
        made.append(
            EstimateRow(measure, cases, cases - len(own), sum(o.seconds for o in own), sources)
        )
    return made


@dataclass(eq=False)
class _Place:
    """Where tasks run: a machine with its cores, or all boards of one device."""

    free: int


def simulate(
    expected: Sequence[Expected], machines: int, cores: int, boards: int | None = None
) -> float:
    """Return seconds that a run takes on so many machines of so many cores each.

    As a run does: cases wait for their network's export; what is timed has the first machine
    to itself; what is exclusive and not timed has any machine to itself where there is one,
    and of several machines one core for each of its threads; the rest takes a core each. Each
    board runs a case at a time.

    Args:
        expected: what is to run.
        machines: of the cluster; on one, stages come one after the other.
        cores: of each.
        boards: that each remote device lends; by default as many as it says.
    """
    places = [_Place(cores) for _ in range(machines)]
    lent = {
        device: _Place(boards if boards is not None else DEVICES[device].facts().slots)
        for device in {one.job.case.device for one in expected if runs_elsewhere(one.job)}
    }
    waiting = _Waiting(expected, by_stage=machines == 1)
    running: list[tuple[float, int, Expected, _Place, int]] = []
    now, number = 0.0, itertools.count()
    while waiting.left or running:
        # While anything is timed there, a cluster keeps one machine free of all else.
        able = places[1:] if machines > 1 and waiting.timed else places
        for kind in waiting.kinds():
            need = _cores(waiting.first(kind).job, kind, cores, alone=machines == 1)
            where = places[:1] if kind == _TIMED else able
            where = [lent[kind]] if kind in lent else where
            if place := next((place for place in where if place.free >= need), None):
                one = waiting.take(kind)
                place.free -= need
                heapq.heappush(running, (now + one.seconds, next(number), one, place, need))
                break
        else:
            now, _, one, place, need = heapq.heappop(running)
            place.free += need
            waiting.over(one)
    return now


def _cores(job: Job, kind: str, cores: int, alone: bool) -> int:
    """Cores of a machine, or boards, that a job takes."""
    if kind == _TIMED or (kind == _EXCLUSIVE and alone):
        return cores
    return cores_on_cluster(job, cores) if kind == _EXCLUSIVE else 1


# Kinds of jobs by what they need; one on a board is of the kind of its device's name.
_TIMED, _EXCLUSIVE, _CORE = "timed", "exclusive", "a core"


class _Waiting:
    """Jobs that have not begun, in queues by kind; and what holds them back.

    Attributes:
        left: how many have not begun.
        timed: how many that are timed on the first machine are not over.
    """

    def __init__(self, expected: Sequence[Expected], by_stage: bool) -> None:
        self._by_stage = by_stage
        self._ready: dict[str, deque[tuple[int, Expected]]] = defaultdict(deque)
        self._held: dict[Any, list[tuple[int, Expected]]] = defaultdict(list)
        self._stages = Counter(stage(one.job) for one in expected)
        self._exporting = {o.job.network for o in expected if o.job.case.measure == "export"}
        self.left = len(expected)
        self.timed = sum(timed_here(one.job) for one in expected)
        by_job = {id(one.job): one for one in expected}
        ordered = [by_job[id(job)] for job in in_order([one.job for one in expected])]
        for place, one in enumerate(ordered):
            hold = self._hold(one)
            (self._ready[_kind_of(one)] if hold is None else self._held[hold]).append((place, one))

    def kinds(self) -> list[str]:
        """Return kinds of which a job may begin, that of the first in order first."""
        heads = [(queue[0][0], kind) for kind, queue in self._ready.items() if queue]
        return [kind for _, kind in sorted(heads)]

    def first(self, kind: str) -> Expected:
        """Return the first job of a kind."""
        return self._ready[kind][0][1]

    def take(self, kind: str) -> Expected:
        """Return the first job of a kind, which begins now."""
        self.left -= 1
        return self._ready[kind].popleft()[1]

    def over(self, one: Expected) -> None:
        """Note that a job has ended: what waited for it may begin."""
        self.timed -= timed_here(one.job)
        self._stages[stage(one.job)] -= 1
        if one.job.case.measure == "export":
            self._exporting.discard(one.job.network)
        for hold in [one.job.network, *self._stages]:
            if hold in self._held and self._hold(self._held[hold][0][1]) != hold:
                for place, freed in self._held.pop(hold):
                    self._ready[_kind_of(freed)].append((place, freed))

    def _hold(self, one: Expected) -> Any:
        """Return what a job waits for: earlier stages on one machine, elsewhere its network's
        export.
        """
        own = stage(one.job)
        if self._by_stage:
            earlier = any(count for other, count in self._stages.items() if other < own)
            return own if earlier else None
        waits = waits_for_export(one.job) and one.job.network in self._exporting
        return one.job.network if waits else None


def _kind_of(one: Expected) -> str:
    if runs_elsewhere(one.job):
        return one.job.case.device
    if timed_here(one.job):
        return _TIMED
    return _EXCLUSIVE if MEASURES[one.job.case.measure].exclusive else _CORE
