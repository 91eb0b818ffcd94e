"""The machines of a Ray cluster, and that all run the same facebench."""

from __future__ import annotations

import importlib
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from facebench.architectures.errors import BadInputError, FacebenchError, UnavailableError
from facebench.harness.machine import environment
from facebench.harness.storage import cache, fingerprints

# What a driver's environment says that its tasks must know too. Each machine has a cache of
# its own, unless all are told of one.
_PASSED_ON = ("FACEBENCH_DATA", "FACEBENCH_NETWORKS", "FACEBENCH_STORE", "PYTHONPATH")

# Seconds that an address may take to answer.
_ANSWER_S = 10.0


@dataclass(frozen=True)
class Machine:
    """It is one node of the cluster.

    Attributes:
        node: its identity within Ray.
        name: as Ray calls its host.
        cores: that Ray may use there; a task that asks for all has the machine for itself.
        resources: names of the custom ones, such as a board's.
    """

    node: str
    name: str
    cores: int
    resources: frozenset[str]


def connect(address: str) -> None:
    """Join a cluster: `auto` is the one that runs on this machine.

    Raises:
        UnavailableError: Ray is not installed, or there is no cluster.
    """
    ray = import_ray()
    if ray.is_initialized():
        return
    variables = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    try:
        _require_answer(address)
        ray.init(
            address=address,
            logging_level="ERROR",
            log_to_driver=False,
            runtime_env={"env_vars": variables},
        )
    except (OSError, ValueError, RuntimeError) as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise UnavailableError(
            f"no Ray cluster at {address!r} ({said[0]}): start one with 'ray start --head', join "
            "others with 'ray start --address HOST:6379', or give the address of a running one"
        ) from error


def _require_answer(address: str) -> None:
    """Raise `OSError` where nobody listens: Ray would try for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_S).close()


def import_ray() -> Any:
    """Import Ray, which is an extra.

    Raises:
        UnavailableError: it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Ray warns of what it will do to GPU variables; there is nothing to do about it here.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise UnavailableError("Ray is not installed: pip install 'facebench[cluster]'") from error


def alive() -> list[Machine]:
    """Return the machines that answer, by name."""
    found = [
        Machine(
            node["NodeID"],
            node["NodeManagerHostname"],
            int(node["Resources"].get("CPU", 0)),
            frozenset(node["Resources"]),
        )
        for node in import_ray().nodes()
        if node["Alive"] and node["Resources"].get("CPU", 0) >= 1
    ]
    return sorted(found, key=lambda machine: (machine.name, machine.node))


def named(among: Sequence[Machine], names: Sequence[str]) -> list[Machine]:
    """Return the machines of these names; of several with one name all of them.

    Args:
        names: `all` for every machine.

    Raises:
        BadInputError: none has one of the names.
    """
    if "all" in names:
        return list(among)
    known = [machine.name for machine in among]
    for name in names:
        if name not in known:
            raise BadInputError(
                f"no machine of the cluster is called {name!r}: name some of "
                f"{', '.join(dict.fromkeys(known))}, or 'all'"
            )
    return [machine for machine in among if machine.name in names]


def place(ray: Any, machine: Machine, what: Any, cores: int, **options: Any) -> Any:
    """Return a function as a task, or a class as an actor, with so many cores of one machine."""
    affinity = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    return ray.remote(what).options(
        num_cpus=cores, scheduling_strategy=affinity(machine.node, soft=False), **options
    )


def why(error: Exception) -> str:
    """Return what went wrong on a machine: what its task raised, or what became of the machine."""
    raised = getattr(error, "cause", None)
    if raised is None:
        return f"its machine was lost ({type(error).__name__})"
    return (
        str(raised) if isinstance(raised, FacebenchError) else f"{type(raised).__name__}: {raised}"
    )


def version() -> str:
    """Hash of what must be the same on all machines for their records to be one run's."""
    return cache.digest(fingerprints.whole(), environment.versions())


def require_same(versions: Sequence[tuple[Machine, str]]) -> None:
    """Raise `BadInputError` where a machine has another facebench than this one."""
    own = version()
    other = [machine.name for machine, found in versions if found != own]
    if other:
        raise BadInputError(
            f"{', '.join(sorted(set(other)))} has no facebench, or another one, or other "
            "versions of its packages, than this machine: install the same there"
        )
