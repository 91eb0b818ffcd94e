"""Trains networks on the machines of a Ray cluster, each by the command that trains it alone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import Any

from facebench.harness.runs.cluster import tasks
from facebench.harness.runs.cluster.engine import Cluster
from facebench.harness.runs.cluster.machines import why

# Machines that a network may take along before it is given up; it goes on at its checkpoint.
_TRIES = 3

_GPU = "GPU"


def train(
    cluster: Cluster, networks: Sequence[str], words: Sequence[str], say: Callable[[str], None]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Train networks side by side: on a GPU each where machines have some, else on a machine each.

    Data and folders are expected under the same paths everywhere.

    Args:
        networks: by name, each once.
        words: of the command that trains one of them, without its name.
        say: told of each network that is done.

    Returns:
        What `train --json` prints of each network, in order; and why others have nothing.
    """
    ray = cluster.ray
    gpus = [machine for machine in cluster.machines if _GPU in machine.resources]
    asked = (
        {"num_cpus": 1, "num_gpus": 1}
        if gpus
        else {"num_cpus": min(machine.cores for machine in cluster.machines)}
    )
    remote = ray.remote(tasks.train).options(max_retries=_TRIES, **asked)
    waiting = {remote.remote([name, *words], os.getcwd()): name for name in networks}
    made: dict[str, list[dict[str, Any]]] = {}
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
            made[name] = json.loads(printed)
        say(f"{len(networks) - len(waiting)}/{len(networks)} {name}: {last or 'trained'}")
    return [one for name in networks for one in made.get(name, [])], failures
