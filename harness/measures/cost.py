"""Counts parameters, MAdds, activations and bytes."""

from __future__ import annotations

from typing import Any

from facebench.harness.machine.environment import version
from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import Measure, Outcome, Per, register
from facebench.harness.records.comparable import Counted
from facebench.harness.records.cost import Cost
from facebench.harness.records.record import Record


def _obtain(job: Job) -> Outcome:
    if job.network.is_graph:
        from facebench.harness.models.onnx_cost import counter

        loaded = job.network.loaded()
        found = loaded.found
        return Outcome(counter.count(loaded.model, found.image_shape, found.size, found.embedding))
    from facebench.harness.models import cost  # loads torch

    if job.network.path is None and not job.network.is_module:
        return Outcome(cost.count_named(job.network.name))
    architecture, module = job.network.architecture(), job.network.module()
    return Outcome(cost.count(module, architecture.input_size, architecture.embedding_size))


def _depends_on(job: Job) -> Any:
    return version("fvcore")


def _summary(record: Record, result: Cost) -> str:
    return f"{result.parameters / 1e6:.3f} M parameters as trained"


def _comparable(result: Cost) -> list[Counted]:
    madds = [Counted(f"MAdds ({name})", "", count) for name, count in result.madds.items()]
    return [
        Counted("parameters", "", result.parameters),
        *madds,
        Counted("activations", "", result.activations),
        Counted("peak activations", "bytes", result.peak_activation_bytes),
    ]


register(
    Measure(
        name="cost",
        about="parameters, multiply-adds, activations and bytes, counted",
        result=Cost,
        obtain=_obtain,
        summary=_summary,
        comparable=_comparable,
        kind="counted",
        depends_on=_depends_on,
        stage=0,
        of_network=True,
        per=Per.NETWORK,
    )
)
