"""The command that searches for faster kernels: tune."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from facebench.architectures.errors import (
    BadInputError,
    FacebenchError,
    RefusedError,
    UnavailableError,
)
from facebench.harness.cli import options
from facebench.harness.cli.output import console, tuning
from facebench.harness.compiler import records
from facebench.harness.compiler.targets import TARGETS, Target
from facebench.harness.compiler.tvm import import_tvm
from facebench.harness.compiler.workload import Workload
from facebench.harness.models.export import Exported, export
from facebench.harness.models.networks import Network, resolve
from facebench.harness.runs import plan
from facebench.harness.runs.cluster.engine import Cluster
from facebench.harness.tuning.worker_process import TuningProcess, TuningWorker

if TYPE_CHECKING:
    from facebench.harness.tuning.places import Goal

_NO_PLAN = "-"


@click.command()
@click.argument("networks", nargs=-1, metavar="[NETWORK]...")
@options.weights
@click.option("--target", default="", metavar="T[,T]", help="See 'facebench list targets'.")
@click.option(
    "--trials", type=click.IntRange(1, 100_000), default=32, show_default=True,
    help="Ways to block a kernel that are tried, for each workload.",
)  # fmt: skip
@click.option(
    "--device", default="", metavar="D[,D]",
    help="Where kernels are tried: local, emulated:CORE, rpc://HOST:PORT, ssh://USER@HOST, "
    "tracker://HOST:PORT/KEY; several share the work. Default: this machine, or the target's "
    "emulated core.",
)  # fmt: skip
@click.option(
    "--cluster", metavar="auto|ADDRESS",
    help="Share the work among the machines of a Ray cluster; records are kept here.",
)  # fmt: skip
@click.option(
    "--missing", is_flag=False, flag_value=_NO_PLAN, metavar="[PLAN]",
    help="Tune only what has no record: of the networks given, or of a plan's.",
)  # fmt: skip
@options.batch
@options.as_json
def tune(
    networks: tuple[str, ...],
    target: str,
    trials: int,
    device: str,
    cluster: str | None,
    missing: str | None,
    batch: int,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Search for the fastest kernels of networks, for every later compile.

    Each convolution, depthwise convolution and pooling is a workload, searched for once
    whatever networks it is in. What is found is kept as soon as it is found; the same
    command goes on where it was. A kernel takes the place of the one scheduled by rule
    where it is faster beside it and computes the same.

    \b
    facebench tune mobilefacenet --target host
    facebench tune mobilefacenet mobilenet_v2 --target x86-64-v3,x86-64-v4 --trials 64
    facebench tune mobilefacenet --target cortex-a72              on the emulated core
    facebench tune mobilefacenet --target cortex-a76 --device ssh://pi@raspberrypi
    facebench tune mobilefacenet --target cortex-a72 --device rpc://pi1:9090,rpc://pi2:9090
    facebench tune mobilefacenet --target cortex-a72 --cluster auto
    facebench tune --target host --missing paper                  what the plan lacks
    """
    wanted, targets = _asked_for(networks, target, missing, chosen)
    exported = [export(network) for network in wanted]
    import_tvm()  # before anything below imports it with torch
    machines = None if cluster is None else Cluster(cluster)
    devices = options.comma_list(device)
    summaries: list[tuning.TuningSummary] = []
    failures: list[str] = []
    for one in targets:
        try:
            works = _works(one, exported, batch)
            summary = _tuned(one, devices, machines, works, trials, missing is not None)
        except (RefusedError, UnavailableError) as error:
            failures.append(str(error))
            continue
        summaries.append(summary)
        failures += summary.failures
        if not as_json:
            console.out.print(summary.in_words(), markup=False, soft_wrap=True)
    if as_json:
        console.as_json([summary.to_json() for summary in summaries])
    if failures:
        raise FacebenchError("\nfacebench: ".join(failures))


def _works(target: Target, exported: Sequence[Exported], batch: int) -> list[Workload]:
    """Workloads of all networks, each once."""
    from facebench.harness.tuning import places
    from facebench.harness.tuning.workloads import workloads

    vectors = places.goal(target).vectors
    return list(dict.fromkeys(w for one in exported for w in workloads(one, batch, vectors)))


def _tuned(
    target: Target,
    devices: Sequence[str],
    cluster: Cluster | None,
    works: Sequence[Workload],
    trials: int,
    missing: bool,
) -> tuning.TuningSummary:
    """Tune for one target."""
    from facebench.harness.tuning import distribute, places, tuning_run

    goal = places.goal(target)
    found: list[records.TuningRecord] = []
    failures: list[str] = []
    with records.claim(goal.records):
        wanted = tuning_run.left(goal, works, trials, missing)
        if wanted:
            with tuning.TuneProgress(goal.records, len(wanted), trials) as progress:
                if cluster is None and len(devices) < 2:
                    with places.costs(goal, "".join(devices)) as cost:
                        found, failures = tuning_run.run(goal, wanted, cost, trials, progress)
                else:
                    workers = _workers(goal, devices, cluster, trials, len(wanted))
                    found, failures = distribute.run(goal.records, wanted, workers, progress)
    path = str(records.own_file(goal.records))
    how = ", ".join(dict.fromkeys(record.how for record in found))
    kept = len(works) - len(wanted)
    return tuning.TuningSummary(goal.records, path, how, len(works), kept, found, failures)


def _workers(
    goal: Goal, devices: Sequence[str], cluster: Cluster | None, trials: int, most: int
) -> list[TuningWorker]:
    if cluster is None:
        return [
            TuningProcess(goal.target.name, goal.records, one, trials) for one in devices[:most]
        ]
    from facebench.harness.tuning.cluster import workers

    return workers(cluster, goal, devices, trials, most)


def _asked_for(
    networks: tuple[str, ...], target: str, missing: str | None, chosen: dict[str, Any]
) -> tuple[list[Network], list[Target]]:
    """Networks and targets, of the command line or of the plan.

    Raises:
        BadInputError: there are none.
    """
    names = options.comma_list(target)
    if missing in (None, _NO_PLAN):
        found = options.resolve_networks(networks, **chosen)
    elif networks:
        raise BadInputError(
            f"--missing {missing} names a plan and there are networks too: give one of them, "
            "or --missing as the last word"
        )
    else:
        assert missing is not None
        of = plan.load(missing)
        found = [resolve(name, of.weights.get(name)) for name in plan.network_names(of)]
        names = names or (TARGETS.names() if of.targets == "all" else list(of.targets))
    if not found:
        raise BadInputError("name a network to tune, or a plan with --missing PLAN")
    if not names:
        raise BadInputError(
            f"say what to tune for with --target, one of {', '.join(TARGETS.names())}"
        )
    return found, [TARGETS[name] for name in names]
