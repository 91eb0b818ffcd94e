"""Provides a machine of a cluster that times jobs, with all its cores its own meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from facebench.architectures.errors import LostError
from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import failed
from facebench.harness.records.record import Record, from_json
from facebench.harness.runs.cluster import tasks
from facebench.harness.runs.cluster.machines import Machine, place, why


def timed_on(record: Record, machine: str) -> Record:
    """Return the record as one of this machine: the report keeps its times apart from others'."""
    return replace(record, provenance=record.provenance | {"timed_on": machine})


class TimingMachine:
    """It is a machine on which jobs are timed.

    Args:
        ray: the library.
        machine: whose.
    """

    def __init__(self, ray: Any, machine: Machine) -> None:
        self.machine = machine
        self._ray = ray
        self._alone: Any = None

    def reserve(self) -> None:
        """Have all cores of the machine; returns once they are free.

        Raises:
            LostError: the machine is gone.
        """
        self._alone = place(self._ray, self.machine, tasks.Alone, self.machine.cores).remote()
        try:
            self._ray.get(self._alone.perform.remote({}))
        except self._ray.exceptions.RayError as error:
            raise self._lost() from error

    def perform(self, job: Job) -> Record:
        """Return a job's record, which says where it was timed.

        Raises:
            LostError: the machine is gone.
        """
        if self._alone is None:
            self.reserve()
        try:
            record = from_json(self._ray.get(self._alone.perform.remote(job.to_json())))
            return timed_on(record, self.machine.name)
        except self._ray.exceptions.RayTaskError as error:
            return failed(job, why(error))
        except self._ray.exceptions.RayError as error:
            raise self._lost() from error

    def release(self) -> None:
        """Give the cores back."""
        if self._alone is not None:
            self._ray.kill(self._alone)
        self._alone = None

    def _lost(self) -> LostError:
        return LostError(f"the machine {self.machine.name} was lost")
