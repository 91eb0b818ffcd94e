"""The process that runs jobs: JSON on standard input, JSON lines on standard output.

Its argument is the process id of the run that started it.
A line is a record, or `{"done": n, "total": m}` while a long case is under way.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from typing import IO

from facebench.architectures.errors import LostError
from facebench.harness.machine.processes import LOST, die_with_parent
from facebench.harness.measures.job import Job, Progress
from facebench.harness.records.record import to_json
from facebench.harness.runs.execute import perform
from facebench.harness.storage.serialization import convert, to_text

# Seconds between two lines of progress.
_PERIOD_S = 0.2


def main() -> None:
    """Perform the jobs in order; each record is written as soon as it is there."""
    die_with_parent(int(sys.argv[1]))
    # Libraries print to standard output as they like; records must be alone there.
    with os.fdopen(os.dup(1), "w") as lines:
        os.dup2(2, 1)
        for data in json.load(sys.stdin):
            try:
                record = perform(replace(convert(data, Job), progress=_progress(lines)))
            except LostError as error:
                print(error, file=sys.stderr)
                sys.exit(LOST)
            lines.write(to_text(to_json(record)) + "\n")
            lines.flush()


def _progress(lines: IO[str]) -> Progress:
    told = 0.0

    def tell(done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told > _PERIOD_S:
            told = time.monotonic()
            lines.write(json.dumps({"done": done, "total": total}) + "\n")
            lines.flush()

    return tell


if __name__ == "__main__":
    main()
