"""Parameters, MAdds, activations and bytes: counted."""

from __future__ import annotations

from typing import Any

from facebench.harness.machine.environment import version
from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import MEASURES, Measure, Outcome
from facebench.harness.storage import fingerprints


def _obtain(job: Job) -> Outcome:
    from facebench.harness.models import cost  # loads torch

    architecture = job.network.architecture()
    module = job.network.module()
    return Outcome(cost.count(module, architecture.input_size, architecture.embedding_size))


def _depends_on(job: Job) -> Any:
    return fingerprints.code(
        "facebench.harness.models.cost", "facebench.harness.models.bn_folding"
    ), version("fvcore")


MEASURES.add("cost", Measure("cost", "counted", _obtain, _depends_on, stage=0))
