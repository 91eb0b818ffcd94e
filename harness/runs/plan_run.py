"""Runs a plan: what a user wants of it changed, its records kept, on this machine or a cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from facebench.architectures.errors import BadInputError
from facebench.harness.devices.emulator import setup
from facebench.harness.records.record import Record
from facebench.harness.records.store import RECORDS, Store
from facebench.harness.runs import plan as plans
from facebench.harness.runs import runner
from facebench.harness.runs.cluster.engine import Cluster
from facebench.harness.runs.jobs import DEFAULT_SAMPLING, Sampling
from facebench.harness.runs.plan import Plan
from facebench.harness.runs.runner import JobRunner


@dataclass(frozen=True)
class RunRequest:
    """A plan that is to be run.

    Attributes:
        plan: a TOML file, or the name of a built-in plan.
        out: folder of the records; what is in them already is not run again.
        data: folder of data sets.
        weights: files by network, beside and instead of the plan's.
        weights_otherwise: `shipped`, or what the plan says where it is empty.
        devices: where latency is measured; where there are none, what the plan says.
        sampling: what is sampled otherwise than the plan says.
        cluster: address of a Ray cluster; None for this machine.
        identical: machines of the cluster that are declared alike; see `Cluster`.
    """

    plan: str
    out: Path
    data: Path | None = None
    weights: Mapping[str, str] = field(default_factory=dict)
    weights_otherwise: str = ""
    devices: tuple[str, ...] = ()
    sampling: Sampling = DEFAULT_SAMPLING
    cluster: str | None = None
    identical: tuple[str, ...] = ()

    @property
    def store(self) -> Store:
        """Return the store of the records' file."""
        return Store(self.out / RECORDS)

    def load(self) -> Plan:
        """Read the plan, and change it as the request says.

        Raises:
            UnknownNameError: there is no such plan.
            BadInputError: it has a wrong key or value.
        """
        plan = self.sampling.over(plans.load(self.plan))
        plan = replace(plan, weights={**plan.weights, **self.weights})
        if self.weights_otherwise:
            plan = replace(plan, weights_otherwise=self.weights_otherwise)
        return replace(plan, devices=self.devices, emulated=()) if self.devices else plan


def run_plan(
    request: RunRequest,
    run: JobRunner = runner.run,
    say: Callable[[str], None] = lambda sentence: None,
) -> list[Record]:
    """Obtain all records of a plan.

    Args:
        request: what is to be run.
        run: obtains the records.
        say: told what is left out, set aside, and done where.

    Raises:
        UnknownNameError: the plan, or a name in it, is unknown.
        BadInputError: the plan or the request is wrong.
        UnavailableError: a runtime is not installed, or a device or the cluster is not reached.
    """
    if request.identical and request.cluster is None:
        raise BadInputError("--identical names machines of a cluster: give --cluster too")
    plan = request.load()
    if plan.emulated and (missing := setup.ready()):
        say(f"no emulated ARM figures: {missing}")
    if devices := plans.connected(plan):
        say(f"connecting to {', '.join(devices)}")
    jobs = plans.jobs(plan, request.data)
    store = request.store
    if (aside := store.mend()) is not None:
        say(f"a record that was cut off is set aside in {aside}; its case runs again")
    obtain = None
    if request.cluster is not None:
        cluster = Cluster(request.cluster, request.identical, say)
        jobs = cluster.placed(jobs, store.read())
        obtain = cluster.obtain
        say(str(cluster))
    return run(jobs, store, obtain=obtain)
