"""Defines the protocol of measures, and their registry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Any, Generic, TypeVar

from facebench.architectures.extensions import load_installed
from facebench.architectures.registry import Registry
from facebench.harness.devices.registry import DEVICES
from facebench.harness.measures.job import Job
from facebench.harness.models.networks import Network
from facebench.harness.records.case import Case
from facebench.harness.records.comparable import Figure
from facebench.harness.records.record import Check, Record
from facebench.harness.records.results import RESULTS, Result

R = TypeVar("R", bound=Result)


@dataclass(frozen=True)
class Outcome:
    """An outcome is a result, the conditions of validity that were checked, and its provenance.

    `environment` is the device's; empty for this machine.
    """

    result: Result
    checks: tuple[Check, ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Several:
    """It says how a measure whose cases take several processes makes one record of them.

    Attributes:
        enough: whether a job needs no further process after those whose records it is given.
        merge: makes the record of a job from those of its processes, in order.
    """

    enough: Callable[[Job, Sequence[Record]], bool]
    merge: Callable[[Job, Sequence[Record]], Record]


@dataclass(frozen=True)
class Sharding:
    """It says how machines share the work of one case.

    Attributes:
        shards: the most that a job can be cut into.
        prepare: does one shard of a job, and leaves it in the cache for the case itself, which
            makes what is not there.
    """

    shards: Callable[[Job], int]
    prepare: Callable[[Job], None]


class Per(Enum):
    """It names the keys of a plan for whose every value, and network, a measure has a case."""

    NETWORK = "networks"
    TARGET = "targets"  # of the compiler
    DEVICE = "devices"  # real ones; with each runtime, precision and number of threads
    CORE = "emulated"  # emulated ones; with each runtime and precision, in one thread
    BATCH = "batches"  # with each runtime, precision and number of threads, on this machine
    DATASET = "datasets"  # of which it is the measure; with each precision


@dataclass(frozen=True, kw_only=True)
class Measure(Generic[R]):
    """A measure is a kind of figure: what is obtained, how it reads, how two are compared.

    Attributes:
        name: as in `Case.measure`.
        about: what it obtains, in a line.
        result: the type of its results, by which records are read.
        obtain: obtains it for a job, with the conditions of validity that were looked at.
        summary: a result and its record in a line, for the terminal.
        comparable: what of a result is compared, each with its direction and margin: less is
            better of `Timed` and `Counted`, more of `Decided`; none where nothing is.
        kind: how its figures are obtained, one of `record.KINDS`; empty where the device says it.
        depends_on: what the result depends on beyond the network, the case and the code, for
            its fingerprint: versions, files, the device.
        stage: measures of a lower stage come first in a run; those of stage 0
            need no exported network.
        exclusive: nothing else of ours may run meanwhile.
        timed: its figures are times, which are compared between records of one machine alone.
        of_network: its figures are counts of the network alone: no version of a package and no
            other code changes them.
        several: how processes of a case are joined; None where there is always one.
        prepare: makes what a case finds in the cache then, with others at the same time; None
            where that takes no time.
        sharding: how machines share a case; None where one machine does it all.
        per: what a plan has a case of it for; None where no plan has any. A plan whose key of
            the measure's name is false has none either.
        suits: whether a plan has cases of it for a network.
        runtime: the only one that it is obtained in; empty where a plan chooses, or none runs.
        reports: of a measure of data sets, what it reports and how, a sentence.
    """

    name: str
    about: str
    result: type[R]
    obtain: Callable[[Job], Outcome]
    summary: Callable[[Record, R], str]
    stage: int
    comparable: Callable[[R], Sequence[Figure]] = lambda result: ()
    kind: str = ""
    depends_on: Callable[[Job], Any] = lambda job: ""
    exclusive: bool = False
    timed: bool = False
    of_network: bool = False
    several: Several | None = None
    prepare: Callable[[Job], object] | None = None
    sharding: Sharding | None = None
    per: Per | None = None
    suits: Callable[[Network], bool] = lambda network: True
    runtime: str = ""
    reports: str = ""

    @property
    def in_turns(self) -> bool:
        """Say whether processes of two sides can take turns with it: it is timed in several."""
        return self.timed and self.several is not None


MEASURES: Registry[Measure[Any]] = Registry(
    "measure", "facebench.harness.measures", partial(load_installed, "measures")
)


def register(measure: Measure[R]) -> Measure[R]:
    """Make a measure known, and its type of results to whoever reads records."""
    module = measure.obtain.__module__
    RESULTS.add(measure.name, measure.result, module)
    return MEASURES.add(measure.name, measure, module)


def runs_elsewhere(job: Job) -> bool:
    """Return whether a job has a device beside this machine to itself."""
    return MEASURES[job.case.measure].exclusive and DEVICES[job.case.device].remote


def timed_here(job: Job) -> bool:
    """Return whether a job's figures are times of the machine that runs it."""
    return MEASURES[job.case.measure].timed and not runs_elsewhere(job)


def failed(job: Job, reason: str) -> Record:
    """Return the record of a job that came to nothing."""
    kind = kind_of(job.case)
    return Record(job.case, kind, "failed", reason=reason, fingerprint=job.fingerprint)


def kind_of(case: Case) -> str:
    """Return how the figures of a case are obtained: one of `record.KINDS`."""
    return MEASURES[case.measure].kind or DEVICES[case.device].kind


def in_short(record: Record) -> str:
    """Return a record's main figure in a line, or why there is none."""
    if record.result is None:
        return f"{record.status}: {record.reason}"
    return MEASURES[record.case.measure].summary(record, record.result)


def labelled(record: Record) -> str:
    """Return how a record's figure was obtained, and what limits its meaning: the end of a
    summary.
    """
    return f"{record.kind} {record.label}".rstrip()
