"""The process that runs jobs: JSON on standard input, JSON lines on standard output.

Its argument is the process id of the run that started it.
A line is a record, or `{"done": n, "total": m}` while a long case is under way.

With two more arguments, the name of a runtime or nothing and a file descriptor, it is a server
that forks such processes: see `machine.fork_server`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from typing import IO

from facebench.architectures import registry
from facebench.architectures.errors import LostError
from facebench.harness.devices.registry import DEVICES
from facebench.harness.machine import fork_server
from facebench.harness.machine.die_with_parent import die_with_parent
from facebench.harness.machine.processes import LOST
from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import MEASURES
from facebench.harness.records.record import to_json
from facebench.harness.runs.execute import code_facts, perform
from facebench.harness.runtimes.registry import RUNTIMES
from facebench.harness.storage.progress import Progress
from facebench.harness.storage.serialization import convert, to_text

# Seconds between two lines of progress.
_PERIOD_S = 0.2


def main() -> None:
    """Perform the jobs, or serve those who do."""
    parent, *serving = sys.argv[1:]
    die_with_parent(int(parent))
    if not serving:
        _work()
        return
    runtime, descriptor = serving
    # What a child would find out again, each of them.
    for known in (MEASURES, RUNTIMES, DEVICES):
        known.names()
    code_facts()
    package = ""
    if runtime:
        RUNTIMES[runtime].load()
        package = RUNTIMES[runtime].packages[0]
    if "torch" in sys.modules:  # which runs networks as they are defined
        registry.imported()
    fork_server.serve(int(descriptor), _work, package)


def _work() -> None:
    """Perform the jobs in order; each record is written as soon as it is there."""
    # Libraries print to standard output as they like; records must be alone there.
    with os.fdopen(os.dup(1), "w") as lines:
        os.dup2(2, 1)
        for data in json.load(sys.stdin):
            try:
                record = perform(replace(convert(data, Job), progress=_Lines(lines)))
            except LostError as error:
                print(error, file=sys.stderr)
                sys.exit(LOST)
            lines.write(to_text(to_json(record)) + "\n")
            lines.flush()


class _Lines(Progress):
    """Writes how far a case is, now and then, for the process that started this one."""

    def __init__(self, lines: IO[str]) -> None:
        self._lines = lines
        self._told = 0.0

    def at(self, done: float, total: float | None = None, step: str = "") -> None:
        if time.monotonic() - self._told > _PERIOD_S:
            self._told = time.monotonic()
            self._lines.write(json.dumps({"done": done, "total": total}) + "\n")
            self._lines.flush()


if __name__ == "__main__":
    main()
