"""Provides the process of a worker: workloads on standard input, what became of them on standard
output.

Its argument is the process id of who started it. The first line in says for what, where and
how long to tune; the first line out that this can be done here, or why not. After that
each line is answered by one.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from typing import Any

from facebench.architectures.errors import (
    LostError,
    RefusedError,
    UnavailableError,
    WrongAnswerError,
)
from facebench.harness.compiler import records, workload
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.compiler.tvm import import_tvm
from facebench.harness.machine.die_with_parent import die_with_parent
from facebench.harness.machine.processes import LOST


def main() -> None:
    """Tune until there is nothing more to tune."""
    die_with_parent(int(sys.argv[1]))
    # Libraries print to standard output as they like; answers must be alone there.
    with os.fdopen(os.dup(1), "w") as lines:
        os.dup2(2, 1)

        def tell(answer: dict[str, Any]) -> None:
            lines.write(json.dumps(answer) + "\n")
            lines.flush()

        task = json.loads(sys.stdin.readline())
        import_tvm()  # before anything below imports it with torch
        from facebench.harness.tuning import places
        from facebench.harness.tuning.costs import TilingCost

        def answer(cost: TilingCost, work: workload.Workload) -> dict[str, Any]:
            from facebench.harness.tuning.tuner import proposed, tune

            warnings: list[str] = []
            before = [records.load(goal.records), *places.alike(goal)]
            tilings = proposed(before, work, goal.kernels)
            try:
                record = tune(work, cost, task["trials"], warn=warnings.append, known=tilings)
            except WrongAnswerError as error:
                return {"failed": str(error), "warnings": warnings}
            return {"record": asdict(record), "warnings": warnings}

        try:
            goal = places.goal(TARGETS[task["target"]], task["precision"])
            with places.costs(goal, task["device"]) as cost:
                tell({"records": goal.records, "how": cost.how})
                for line in sys.stdin:
                    tell(answer(cost, workload.from_json(json.loads(line))))
        except (RefusedError, UnavailableError) as error:
            tell({"refused": str(error)})
        except LostError as error:
            print(error, file=sys.stderr)
            sys.exit(LOST)


if __name__ == "__main__":
    main()
