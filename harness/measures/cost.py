"""Parameters, MAdds, activations and bytes: counted."""

from __future__ import annotations

from typing import Any

from harness.cache import source_digest
from harness.job import Job
from harness.measures.registry import MEASURES, Measure, Outcome
from harness.timing.environment import version


def _obtain(job: Job) -> Outcome:
    from harness import cost  # loads torch

    architecture = job.network.architecture()
    module = job.network.module()
    return Outcome(cost.count(module, architecture.input_size, architecture.embedding_size))


def _depends_on(job: Job) -> Any:
    return source_digest("harness.cost", "harness.folding"), version("fvcore")


MEASURES.add("cost", Measure("cost", "counted", _obtain, _depends_on, stage=0))
