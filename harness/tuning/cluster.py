"""Tunes on the machines of a Ray cluster, and on the boards that they have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from facebench.architectures.errors import FacebenchError, LostError
from facebench.harness.compiler import workload
from facebench.harness.compiler.workload import Workload
from facebench.harness.runs.cluster import machines
from facebench.harness.runs.cluster.engine import Cluster
from facebench.harness.runs.cluster.machines import Machine
from facebench.harness.tuning import places
from facebench.harness.tuning.places import EMULATED, LOCAL, Goal
from facebench.harness.tuning.worker_process import TuningWorker, WorkerProcess


class Tuner:
    """It is a worker's process, on the machine that Ray chose for it."""

    def __init__(self, target: str, records: str, device: str, trials: int, precision: str) -> None:
        self._worker = WorkerProcess(target, records, device, trials, precision)

    def tune(self, work: dict[str, Any]) -> dict[str, Any]:
        """See `TuningWorker`."""
        return self._worker.tune(workload.from_json(work))


class ClusterWorker:
    """It is a worker on another machine; see `TuningWorker`."""

    def __init__(self, name: str, ray: Any, tuner: Any) -> None:
        self.name = name
        self._ray = ray
        self._tuner = tuner

    def tune(self, work: Workload) -> dict[str, Any]:
        """See `TuningWorker`."""
        try:
            answer: dict[str, Any] = self._ray.get(self._tuner.tune.remote(workload.to_json(work)))
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, FacebenchError):
                raise error.cause from error
            raise
        except self._ray.exceptions.RayError as error:
            raise LostError(f"the machine was lost ({type(error).__name__})") from error
        return answer

    def close(self) -> None:
        """See `TuningWorker`."""
        self._ray.kill(self._tuner)


def workers(
    cluster: Cluster, goal: Goal, devices: Sequence[str], trials: int, most: int
) -> list[TuningWorker]:
    """Start workers: a core each where code is emulated, a machine each where it is timed.

    A board is reached from the machine that has it as a resource, or from here.

    Args:
        devices: where kernels are tried; none for the target's usual one.
        most: workers that there is work for.
    """
    found: list[TuningWorker] = []
    for device in devices or [places.usual(goal.target)]:
        lent = list(_lent(cluster, goal, device, trials))
        found += lent or [WorkerProcess(*_task(goal, device, trials))]
    for worker in found[most:]:
        worker.close()
    return found[:most]


def _lent(cluster: Cluster, goal: Goal, device: str, trials: int) -> Iterator[TuningWorker]:
    for machine, cores, resources in _slots(cluster.machines, device):
        made = machines.place(cluster.ray, machine, Tuner, cores, resources=resources)
        tuner = made.remote(*_task(goal, device, trials))
        yield ClusterWorker(f"{device} on {machine.name}", cluster.ray, tuner)


def _task(goal: Goal, device: str, trials: int) -> tuple[str, str, str, int, str]:
    precision = goal.kernels.registers.precision
    return goal.target.name, goal.records, device, trials, precision


def _slots(
    among: Sequence[Machine], device: str
) -> Iterator[tuple[Machine, int, dict[str, float]]]:
    """Machines that have a device, each as often as it can be used at once; cores, resources."""
    kind = device.partition(":")[0]
    for machine in among:
        if kind == EMULATED:
            yield from [(machine, 1, {})] * machine.cores
        elif kind == LOCAL:
            yield machine, machine.cores, {}
        elif device in machine.resources:
            yield machine, 1, {device: 1}
            return
