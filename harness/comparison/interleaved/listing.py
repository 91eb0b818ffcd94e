"""The process that lists what of a plan is timed on this machine, as its own facebench has it.

Its argument is a plan; standard output is one JSON object: the jobs, or why there are none.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from facebench.architectures.errors import FacebenchError
from facebench.harness.devices.registry import DEVICES
from facebench.harness.measures.registry import MEASURES
from facebench.harness.runs import plan as plans


def main() -> None:
    """List the jobs of the one plan."""
    # Libraries print to standard output as they like; the answer must be alone there.
    with os.fdopen(os.dup(1), "w") as answer:
        os.dup2(2, 1)
        json.dump(listed(sys.argv[1]), answer)


def listed(plan: str) -> dict[str, Any]:
    """Return what of a plan can be timed side by side."""
    try:
        jobs = plans.jobs(plans.load(plan), None)
    except FacebenchError as error:
        return {"error": str(error)}
    timed = [job for job in jobs if MEASURES[job.case.measure].in_turns]
    return {"jobs": [job.to_json() for job in timed if not DEVICES[job.case.device].remote]}


if __name__ == "__main__":
    main()
