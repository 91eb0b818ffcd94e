"""The process that runs jobs: JSON on standard input, JSON lines on standard output.

A line is a record, or `{"done": n, "total": m}` while a long case is under way.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from typing import IO

from harness.job import Job, Progress
from harness.perform import perform
from harness.record import to_json

_PR_SET_PDEATHSIG = 1

# Seconds between two lines of progress.
_PERIOD_S = 0.2


def main() -> None:
    """Perform the jobs in order; each record is written as soon as it is there."""
    _die_with_parent()
    # Libraries print to standard output as they like; records must be alone there.
    with os.fdopen(os.dup(1), "w") as lines:
        os.dup2(2, 1)
        for data in json.load(sys.stdin):
            record = perform(Job.from_json(data, _progress(lines)))
            lines.write(json.dumps(to_json(record), allow_nan=False) + "\n")
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


def _die_with_parent() -> None:
    """A run that is killed leaves no process behind that would disturb the next one's figures."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main()
