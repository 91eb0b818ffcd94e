"""Merges the processes that timed one case into one record, and says when they are enough."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from facebench.architectures.errors import RefusedError
from facebench.harness.machine import facts
from facebench.harness.measures import validity
from facebench.harness.measures.job import Job
from facebench.harness.records.latency import Latency, Process
from facebench.harness.records.record import Record

# In a record's provenance: how its process was started, or each of its processes.
STARTED = "started"


def enough(job: Job, parts: Sequence[Record]) -> bool:
    """Return whether a case needs no further process: its median is known, or its budget is spent.

    To look after each process and end when the interval is narrow favours intervals that
    are narrow by chance: in simulations they cover 92 to 99 % where 95 % are stated
    (`tests/harness/stats/test_intervals.py`), the least at three processes.
    """
    budget = job.budget
    if len(parts) < max(budget.processes, budget.ahead + 1):
        return False
    if len(parts) >= budget.most_processes or _seconds(parts) >= budget.longest_s:
        return True
    if len(parts) < budget.ahead + budget.processes:
        return False
    return join(parts).relative_width <= budget.known_to


def merge(job: Job, parts: Sequence[Record]) -> Record:
    """Return the record of a case, from those of its processes in order.

    Raises:
        RefusedError: they did not run on the same machine with the same versions.
    """
    _require_alike(parts)
    first, last = parts[0], parts[-1]
    latency = join(parts)
    seconds = _seconds(parts)
    return replace(
        first,
        result=latency,
        checks=(*first.checks, *validity.checks(latency, job.budget, seconds, job.case.threads)),
        provenance=_joined(parts) | _after(last) | _started(parts),
        created=last.created,
        duration_s=round(seconds, 3),
    )


def join(parts: Sequence[Record]) -> Latency:
    """Return the times of several processes as one latency, in their order."""
    each = [part.result for part in parts if isinstance(part.result, Latency)]
    facts = tuple(fact for one in each for fact in one.process_facts)
    return Latency(
        samples_ms=tuple(sample for one in each for sample in one.samples_ms),
        warmup_ms=tuple(time for one in each for time in one.warmup_ms),
        load_ms=statistics.median(_from_nothing(facts)),
        output_error=max(one.output_error for one in each),
        label=each[0].label,
        reference_us=tuple(time for one in each for time in one.reference_us),
        peak=next((one.peak for one in each if one.peak is not None), None),
        processes=tuple(len(one.samples_ms) for one in each),
        process_facts=facts,
    )


def _from_nothing(facts: Sequence[Process]) -> list[float]:
    """Return how long processes took to load whose start is told; where none is, all."""
    own = [f.load_ms for f in facts if f.footprint and f.footprint.open_ms is not None]
    return own or [fact.load_ms for fact in facts]


def _started(parts: Sequence[Record]) -> dict[str, Any]:
    how = [part.provenance.get(STARTED) for part in parts]
    return {STARTED: how} if any(how) else {}


def _seconds(parts: Sequence[Record]) -> float:
    return sum(part.duration_s for part in parts)


def _joined(parts: Sequence[Record]) -> dict[str, Any]:
    """Return what the first process says, and what only later ones do."""
    return {name: value for part in reversed(parts) for name, value in part.provenance.items()}


def _after(last: Record) -> dict[str, Any]:
    """Heat as it was in the end."""
    return {name: value for name, value in last.provenance.items() if name == "heat_after"}


def _require_alike(parts: Sequence[Record]) -> None:
    first, *others = [facts.relevant(part.environment) for part in parts]
    for other in others:
        differing = sorted(name for name in first | other if first.get(name) != other.get(name))
        if differing:
            raise RefusedError(
                f"its processes differ in {', '.join(differing)}, so their times are not of one "
                "kind: run the same command again"
            )
