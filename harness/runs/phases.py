"""Says in which phase of a run a job comes: first what a first report needs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from facebench.harness.devices.registry import DEVICES
from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import MEASURES, Per
from facebench.harness.timing.sampler import Budget

# What the first report needs; what else is timed on this machine, with all that it needs; the
# rest.
FIRST, TIMED, REST = range(3)


def phase(job: Job, first: Collection[str]) -> int:
    """Return the phase of a job, where some networks' report comes first; else all have one."""
    case, measure = job.case, MEASURES[job.case.measure]
    if not first or measure.of_network:
        return FIRST
    if case.device != "local" or case.target not in ("", DEVICES["local"].facts().target):
        return REST
    if measure.per is Per.DEVICE:
        return FIRST if case.network in first and not job.budget.ahead else TIMED
    if case.measure == "export" or measure.per is Per.TARGET:
        return FIRST if case.network in first else TIMED
    return TIMED if measure.exclusive and measure.per is Per.NETWORK else REST


def ahead(budget: Budget) -> Budget:
    """Return the budget of a network whose report comes first.

    Its processes are timed for that, and as many again in turns with those of all other
    networks: so what drifts falls on all alike that is compared.
    """
    return replace(budget, ahead=budget.processes if budget.processes > 1 else 0)
