"""Trains networks on the machines of a Ray cluster, each by the command that trains it alone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from facebench.harness.runs.cluster import tasks
from facebench.harness.runs.cluster.engine import Cluster
from facebench.harness.runs.cluster.machines import why
from facebench.harness.training.train import Trained
from facebench.harness.training.training_run import TrainingOutcome

# Machines that a network may take along before it is given up; it goes on at its checkpoint.
_TRIES = 3

_GPU = "GPU"


def train_on_cluster(
    address: str, networks: Sequence[str], words: Sequence[str], say: Callable[[str], None]
) -> TrainingOutcome:
    """Train networks side by side: on a GPU each where machines have some, else on a machine each.

    Data and folders are expected under the same paths everywhere.

    Args:
        address: of the cluster; `auto` is the one that runs on this machine.
        networks: by name, each once.
        words: of the command that trains one of them, without its name.
        say: told of each network that is done.

    Raises:
        UnavailableError: there is no such cluster, or Ray is not installed.
    """
    cluster = Cluster(address)
    ray = cluster.ray
    gpus = [machine for machine in cluster.machines if _GPU in machine.resources]
    asked = (
        {"num_cpus": 1, "num_gpus": 1}
        if gpus
        else {"num_cpus": min(machine.cores for machine in cluster.machines)}
    )
    remote = ray.remote(tasks.train).options(max_retries=_TRIES, **asked)
    waiting = {remote.remote([name, *words], os.getcwd()): name for name in networks}
    made: dict[str, list[Trained]] = {}
    failures = []
    while waiting:
        (reference,), _ = ray.wait(list(waiting), num_returns=1)
        name = waiting.pop(reference)
        try:
            code, printed, last = ray.get(reference)
        except ray.exceptions.RayError as error:
            code, printed, last = 1, "", why(error)
        if code:
            last = last.removeprefix("facebench: ")
            failures.append(f"{name}: {last}")
        else:
            made[name] = [Trained(Path(one.pop("path")), one) for one in json.loads(printed)]
        say(f"{len(networks) - len(waiting)}/{len(networks)} {name}: {last or 'trained'}")
    return TrainingOutcome(
        tuple(one for name in networks for one in made.get(name, [])), tuple(failures)
    )
