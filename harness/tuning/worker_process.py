"""A worker tunes one workload after the other, in a process of its own."""

from __future__ import annotations

import json
import os
from typing import Any, Protocol

from facebench.architectures.errors import LostError, UnavailableError
from facebench.harness.compiler import workload
from facebench.harness.compiler.workload import Workload
from facebench.harness.machine.processes import ChildProcess, python_module


class TuningWorker(Protocol):
    """It tunes workloads, such as on a board or on a machine of a cluster.

    Attributes:
        name: of where it does so.
    """

    name: str

    def tune(self, work: Workload) -> dict[str, Any]:
        """Give a workload's `record`, or why it has none (`failed`), and `warnings`.

        Raises:
            UnavailableError: it can't tune for the target.
            LostError: it answers no more.
        """
        ...

    def close(self) -> None:
        """End what it has under way."""
        ...


class WorkerProcess:
    """It is a worker on this machine, which tries kernels here or on a device it reaches.

    Args:
        target: as registered.
        records: what is made is kept as this; another machine may be of another class.
        device: where kernels are tried; empty for the target's usual one.
        trials: tilings of each workload.
        precision: of the kernels.
    """

    def __init__(self, target: str, records: str, device: str, trials: int, precision: str) -> None:
        self.name = device or "this machine"
        self._records = records
        self._process = ChildProcess(
            python_module("facebench.harness.tuning.worker", str(os.getpid()))
        )
        self._ready = False
        self._task = {
            "target": target, "device": device, "trials": trials, "precision": precision,
        }  # fmt: skip

    def tune(self, work: Workload) -> dict[str, Any]:
        """See `TuningWorker`."""
        if not self._ready:
            found = self._ask(self._task)
            if found["records"] != self._records:
                raise UnavailableError(
                    f"its CPU is one for the records of {found['records']}, and not of "
                    f"{self._records}"
                )
            self._ready = True
        return self._ask(workload.to_json(work))

    def close(self) -> None:
        """See `TuningWorker`."""
        self._process.close()

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        self._process.send(json.dumps(question).encode() + b"\n")
        line = self._process.line()
        if not line:
            raise LostError(self._process.last_line() or "its process ended")
        answer: dict[str, Any] = json.loads(line)
        if "refused" in answer:
            raise UnavailableError(answer["refused"])
        return answer
