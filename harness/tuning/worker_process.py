"""A place that tunes one workload after the other, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from typing import Any, Protocol

from facebench.architectures.errors import LostError, UnavailableError
from facebench.harness.compiler import workload
from facebench.harness.compiler.workload import Workload
from facebench.harness.runs.worker_pool import last_line


class TuningWorker(Protocol):
    """Where workloads are tuned, such as a board or a machine of a cluster.

    Attributes:
        name: of the place.
    """

    name: str

    def tune(self, work: Workload) -> dict[str, Any]:
        """A workload's `record`, or why it has none (`failed`), and `warnings`.

        Raises:
            UnavailableError: this place can't tune for the target.
            LostError: it answers no more.
        """
        ...

    def close(self) -> None:
        """End what it has under way."""
        ...


class TuningProcess:
    """A process of this machine, which tries kernels here or on a device it reaches.

    Args:
        target: as registered.
        records: the target whose records are made; another machine may be of another class.
        device: where kernels are tried; empty for the target's usual place.
        trials: tilings of each workload.
    """

    def __init__(self, target: str, records: str, device: str, trials: int) -> None:
        self.name = device or "this machine"
        self._records = records
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the worker
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "facebench.harness.tuning.worker", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self._ready = False
        self._task = {"target": target, "device": device, "trials": trials}

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
        self._process.kill()
        self._process.wait()
        self._log.close()

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except (OSError, ValueError):
            line = ""
        if not line.endswith("\n"):
            raise LostError(self._last_words())
        answer: dict[str, Any] = json.loads(line)
        if "refused" in answer:
            raise UnavailableError(answer["refused"])
        return answer

    def _last_words(self) -> str:
        try:
            said = last_line(self._log)
        except ValueError:  # closed meanwhile
            said = ""
        return said or "its process ended"
