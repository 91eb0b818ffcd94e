"""The process that runs jobs: JSON on standard input, a record a line on standard output."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys

from harness.job import Job
from harness.perform import perform
from harness.record import to_json

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Perform the jobs in order; each record is written as soon as it is there."""
    _die_with_parent()
    # Libraries print to standard output as they like; records must be alone there.
    with os.fdopen(os.dup(1), "w") as records:
        os.dup2(2, 1)
        for data in json.load(sys.stdin):
            record = perform(Job.from_json(data))
            records.write(json.dumps(to_json(record), allow_nan=False) + "\n")
            records.flush()


def _die_with_parent() -> None:
    """A run that is killed leaves no process behind that would disturb the next one's figures."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main()
