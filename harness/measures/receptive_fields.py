"""Computes effective receptive fields of the last map, and the global operator's weights."""

from __future__ import annotations

from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import Measure, Outcome, Per, register
from facebench.harness.models.networks import Network
from facebench.harness.records.receptive_fields import Fields
from facebench.harness.records.record import Record


def _obtain(job: Job) -> Outcome:
    from facebench.harness.models.receptive_fields import compute  # loads torch

    return Outcome(compute(job.network.module(), job.network.architecture().input_size))


def _summary(record: Record, result: Fields) -> str:
    seen = f"the corner unit sees {result.corner_share:.2f} of what the central one does"
    emphasis = result.centre_emphasis
    return seen if emphasis is None else f"{seen}; GDConv's centre weighs {emphasis:.2f}"


def _suits(network: Network) -> bool:
    return network.trained and not network.is_graph


# Nothing is compared: of two maps no one figure is the better.
register(
    Measure(
        name="fields",
        about="effective receptive fields of the last map, and the global operator's weights",
        result=Fields,
        obtain=_obtain,
        summary=_summary,
        kind="counted",
        stage=0,
        per=Per.NETWORK,
        suits=_suits,
    )
)
