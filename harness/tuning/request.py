"""Searches for faster kernels of networks, for several targets, wherever that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facebench.architectures.errors import BadInputError, RefusedError, UnavailableError
from facebench.harness.compiler import records
from facebench.harness.compiler.records import TuningRecord
from facebench.harness.compiler.targets import TARGETS, Target
from facebench.harness.compiler.tvm import import_tvm
from facebench.harness.compiler.workload import Workload
from facebench.harness.models.export import Exported, export
from facebench.harness.models.networks import Network, resolve
from facebench.harness.runs import plan as plans
from facebench.harness.runs.cluster.engine import Cluster
from facebench.harness.tuning.summary import TuningSummary
from facebench.harness.tuning.worker_process import TuningWorker, WorkerProcess

if TYPE_CHECKING:  # what searches imports TVM, which comes after torch only in `tune`'s way
    from facebench.harness.tuning.listener import TuningListener
    from facebench.harness.tuning.places import Goal

    # Makes who is told of one target's search, of its name, its workloads, and trials of each.
    ListenerMaker = Callable[[str, int, int], AbstractContextManager[TuningListener]]


@dataclass(frozen=True)
class TuningRequest:
    """Networks that are to be tuned.

    Attributes:
        networks: with their weights, which do not matter.
        targets: by name.
        trials: ways to block a kernel that are tried, for each workload.
        devices: where kernels are tried; where there are none, the target's usual place.
        cluster: address of a Ray cluster that shares the work; None for this machine.
        missing: whether a record of however few trials is enough.
        batch: images in one inference.
        precision: of the kernels.
    """

    networks: Sequence[Network]
    targets: Sequence[str]
    trials: int = 32
    devices: Sequence[str] = ()
    cluster: str | None = None
    missing: bool = False
    batch: int = 1
    precision: str = "fp32"


@dataclass(frozen=True)
class TuningOutcome:
    """It is what became of a request.

    Attributes:
        summaries: of the targets that could be tuned for.
        failures: why others could not, and why workloads have no record, in sentences.
    """

    summaries: Sequence[TuningSummary]
    failures: Sequence[str]


def networks_of_plan(name: str) -> tuple[list[Network], list[str]]:
    """Look up the networks of a plan, and the targets that it compiles for.

    Raises:
        UnknownNameError: there is no such plan or network.
        BadInputError: the plan has a wrong key or value.
    """
    plan = plans.load(name)
    networks = [resolve(one, plan.weights.get(one)) for one in plans.network_names(plan)]
    return networks, TARGETS.names() if plan.targets == "all" else list(plan.targets)


def tune_networks(
    request: TuningRequest,
    listener: ListenerMaker,
    tell: Callable[[TuningSummary], None] = lambda summary: None,
) -> TuningOutcome:
    """Tune all workloads of networks, target by target; what is found is kept as it is found.

    Args:
        request: what is to be tuned.
        listener: makes who is told how far a search is.
        tell: told of each target that is done.

    Raises:
        UnknownNameError: a target is unknown.
        BadInputError: there is no network or no target; or a file of records is damaged.
        UnavailableError: there is no such cluster.
    """
    if not request.networks:
        raise BadInputError("name a network to tune, or a plan with --missing PLAN")
    if not request.targets:
        raise BadInputError(
            f"say what to tune for with --target, one of {', '.join(TARGETS.names())}"
        )
    targets = [TARGETS[name] for name in request.targets]
    exported = [export(network) for network in request.networks]
    import_tvm()  # before anything below imports it with torch
    cluster = None if request.cluster is None else Cluster(request.cluster)
    summaries: list[TuningSummary] = []
    failures: list[str] = []
    for target in targets:
        try:
            works = _workloads(target, exported, request)
            summary = _tune(target, works, request, cluster, listener)
        except (RefusedError, UnavailableError) as error:
            failures.append(str(error))
            continue
        summaries.append(summary)
        failures += summary.failures
        tell(summary)
    return TuningOutcome(summaries, failures)


def _workloads(
    target: Target, exported: Sequence[Exported], request: TuningRequest
) -> list[Workload]:
    """Return workloads of all networks, each once."""
    from facebench.harness.tuning import places
    from facebench.harness.tuning.workloads import workloads

    registers = places.goal(target, request.precision).kernels.registers
    found = (workloads(one, request.batch, registers) for one in exported)
    return list(dict.fromkeys(work for one in found for work in one))


def _tune(
    target: Target,
    works: Sequence[Workload],
    request: TuningRequest,
    cluster: Cluster | None,
    listener: ListenerMaker,
) -> TuningSummary:
    from facebench.harness.tuning import places, tuning_run

    goal = places.goal(target, request.precision)
    found: list[TuningRecord] = []
    failures: list[str] = []
    with records.claim(goal.records):
        left = tuning_run.left(goal, works, request.trials, request.missing)
        if left:
            with listener(goal.records, len(left), request.trials) as told:
                found, failures = _search(goal, left, request, cluster, told)
    return TuningSummary(
        goal.records,
        str(records.own_file(goal.records)),
        ", ".join(dict.fromkeys(record.how for record in found)),
        len(works),
        len(works) - len(left),
        found,
        failures,
    )


def _search(
    goal: Goal,
    works: Sequence[Workload],
    request: TuningRequest,
    cluster: Cluster | None,
    told: TuningListener,
) -> tuple[list[TuningRecord], list[str]]:
    """Search in this process where one place does it all; else in a process for each place."""
    from facebench.harness.tuning import distribute, places, tuning_run

    if cluster is None and len(request.devices) < 2:
        with places.costs(goal, "".join(request.devices)) as cost:
            return tuning_run.run(goal, works, cost, request.trials, told)
    workers = _workers(goal, request, cluster, len(works))
    return distribute.run(goal.records, works, workers, told)


def _workers(
    goal: Goal, request: TuningRequest, cluster: Cluster | None, most: int
) -> list[TuningWorker]:
    if cluster is None:
        return [
            WorkerProcess(goal.target.name, goal.records, device, request.trials, request.precision)
            for device in request.devices[:most]
        ]
    from facebench.harness.tuning.cluster import workers

    return workers(cluster, goal, request.devices, request.trials, most)
