"""Says what a plan holds, what of it is done, and how long the rest is expected to take."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facebench.harness.models import export
from facebench.harness.records.record import Record
from facebench.harness.records.store import RECORDS, Store
from facebench.harness.runs import estimate, plan, worker_pool
from facebench.harness.runs.estimate import EstimateRow, Times


@dataclass(frozen=True)
class EstimateRequest:
    """A plan of which something is to be known before it runs.

    Attributes:
        plan: a TOML file, or the name of a built-in plan.
        out: folder of the records: what is in them does not run again.
        data: folder of data sets.
        told: more records that tell how long cases take.
        machines: numbers of machines for each of which the schedule is simulated.
        boards: that each remote device lends; by default as many as it says.
        connect: whether to ask boards that the plan names what they are; else they are left out.
    """

    plan: str
    out: Path
    data: Path | None = None
    told: Sequence[Record] = ()
    machines: Sequence[int] = ()
    boards: int | None = None
    connect: bool = False


@dataclass(frozen=True)
class PlanEstimate:
    """It is what is known of a plan before it runs.

    Attributes:
        rows: what it holds, by measure.
        seconds: that it takes, by the number of machines.
        cores: of this machine, which the others are taken to have too.
        networks: how many it has.
        exported: how many of these are exported already.
        unasked: devices that only a connection tells of; their cases are not in it.
    """

    rows: Sequence[EstimateRow]
    seconds: dict[int, float]
    cores: int
    networks: int
    exported: int
    unasked: Sequence[str]


def estimate_plan(request: EstimateRequest) -> PlanEstimate:
    """Say what a plan holds, and simulate its schedule; nothing of it runs.

    Raises:
        UnknownNameError: the plan, or a name in it, is unknown.
        BadInputError: the plan has a wrong key or value.
        UnavailableError: a runtime is not installed, or a device is not reached.
    """
    wanted = plan.load(request.plan)
    # A plan may be a stranger's: looking at it reaches out to nobody whom it names.
    unasked = () if request.connect else plan.connected(wanted)
    jobs = plan.jobs(plan.without(wanted, unasked), request.data)
    stored = Store(request.out / RECORDS).read()
    start_s = worker_pool.start_s() if request.machines else 0.0
    times = Times([*request.told, *stored], start_s)
    expected = [times.expect(job) for job in estimate.waiting(jobs, stored)]
    cores = len(os.sched_getaffinity(0))
    networks = dict.fromkeys(job.network for job in jobs)
    return PlanEstimate(
        estimate.rows(jobs, expected),
        {n: estimate.simulate(expected, n, cores, request.boards) for n in request.machines},
        cores,
        len(networks),
        sum(export.find(network) is not None for network in networks),
        unasked,
    )
