"""The protocol of measures and their registry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from facebench.architectures.registry import Registry
from facebench.harness.devices.registry import DEVICES
from facebench.harness.measures.job import Job
from facebench.harness.records.case import Case
from facebench.harness.records.record import Check, Record
from facebench.harness.records.results import Result


@dataclass(frozen=True)
class Outcome:
    """A result, the conditions of validity that were looked at, and where it came from.

    `environment` is the device's; empty for this machine.
    """

    result: Result
    checks: tuple[Check, ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Several:
    """How a measure whose cases take several processes makes one record of them.

    Attributes:
        enough: whether a job needs no further process after those whose records it is given.
        merge: makes the record of a job from those of its processes, in order.
    """

    enough: Callable[[Job, Sequence[Record]], bool]
    merge: Callable[[Job, Sequence[Record]], Record]


@dataclass(frozen=True)
class Sharding:
    """How machines share the work of one case.

    Attributes:
        shards: the most that a job can be cut into.
        prepare: does one shard of a job, and leaves it in the cache for the case itself, which
            makes what is not there.
    """

    shards: Callable[[Job], int]
    prepare: Callable[[Job], None]


@dataclass(frozen=True)
class Measure:
    """One kind of figure.

    Attributes:
        name: as in `Case.measure`.
        kind: how its figures are obtained, one of `record.KINDS`; empty where the device says it.
        obtain: obtains it for a job.
        depends_on: what the result depends on beyond the network and the
            case, for its fingerprint.
        stage: measures of a lower stage come first in a run; those of stage 0
            need no exported network.
        exclusive: nothing else of ours may run meanwhile.
        timed: its figures are times, which are compared between records of one machine alone.
        several: how processes of a case are joined; None where there is always one.
        sharding: how machines share a case; None where one machine does it all.
    """

    name: str
    kind: str
    obtain: Callable[[Job], Outcome]
    depends_on: Callable[[Job], Any]
    stage: int
    exclusive: bool = False
    timed: bool = False
    several: Several | None = None
    sharding: Sharding | None = None


MEASURES: Registry[Measure] = Registry("measure", package="facebench.harness.measures")


def runs_elsewhere(job: Job) -> bool:
    """Whether a job has a device beside this machine to itself."""
    return MEASURES[job.case.measure].exclusive and DEVICES[job.case.device].remote


def timed_here(job: Job) -> bool:
    """Whether a job's figures are times of the machine that runs it."""
    return MEASURES[job.case.measure].timed and not runs_elsewhere(job)


def failed(job: Job, reason: str) -> Record:
    """The record of a job that came to nothing."""
    kind = kind_of(job.case)
    return Record(job.case, kind, "failed", reason=reason, fingerprint=job.fingerprint)


def kind_of(case: Case) -> str:
    """How the figures of a case are obtained: one of `record.KINDS`."""
    return MEASURES[case.measure].kind or DEVICES[case.device].kind
