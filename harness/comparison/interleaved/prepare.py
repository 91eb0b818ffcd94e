"""The process that prepares a case: it deploys and checks it, once for a side.

Standard input is a job as JSON; standard output is one JSON object: the record of
a short measurement and, where that is `ok`, the artifact and the images to time it with.
"""

from __future__ import annotations

import base64
import os
import sys
from dataclasses import replace
from typing import Any

from facebench.harness.machine.die_with_parent import die_with_parent
from facebench.harness.measures.deployment import deploy
from facebench.harness.measures.job import Job
from facebench.harness.records.record import to_json
from facebench.harness.runs.execute import perform
from facebench.harness.storage.serialization import convert, parse_json, to_text
from facebench.harness.timing.sampler import Budget

# The times are thrown away; that it runs, and gives the right answer, is what is looked at.
_SHORT = Budget(warmup_s=0.1, sampling_s=0.01, processes=2)


def main() -> None:
    """Prepare the one job."""
    die_with_parent()
    # Libraries print to standard output as they like; the answer must be alone there.
    with os.fdopen(os.dup(1), "w") as answer:
        os.dup2(2, 1)
        answer.write(to_text(prepare(convert(parse_json(sys.stdin.read()), Job))))


def prepare(job: Job) -> dict[str, Any]:
    """Make what `prepared_case.Answer` reads."""
    # The machine's peak is no part of a comparison: only the first process of a case looks.
    record = perform(replace(job, budget=_SHORT, process=1))
    made: dict[str, Any] = {"record": to_json(record)}
    if record.status == "ok":
        deployment = deploy(job)
        images = deployment.batch_of_images().astype("<f4")
        made["artifact"] = str(deployment.artifact.path)
        made["shape"] = images.shape
        made["images"] = base64.b64encode(images.tobytes()).decode()
    return made


if __name__ == "__main__":
    main()
