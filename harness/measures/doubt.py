"""Says how far conditions of validity that did not hold can move a time, and in which direction.

A verdict that such a move could turn is none.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from facebench.harness.measures.validity import DISTURBANCES, slowed_up_to
from facebench.harness.records.latency import Latency
from facebench.harness.records.record import Record
from facebench.harness.stats.autocorrelation import effective_size
from facebench.harness.stats.drift import drift
from facebench.harness.stats.modes import modes

# What a warm-up that did not settle may leave at least: its windows differed by more.
_UNSETTLED = 1.02


@dataclass(frozen=True)
class Doubt:
    """A condition that did not hold, and what it can have done to a time.

    Attributes:
        check: the condition's name.
        shorter: how many times shorter the time may be where the condition holds, 1 or more;
            infinite where that is not known.
        longer: how many times longer, likewise.
    """

    check: str
    shorter: float
    longer: float


def doubts(record: Record) -> list[Doubt]:
    """Return what conditions that did not hold can have done to a time; those that move it alone.

    That the median is not known to what was asked for, and that memory grows, move no time:
    the interval says the one, and the other is no matter of time.
    """
    found = [
        Doubt(check.name, *_moved(check.name, record.result))
        for check in record.failed_checks
        if not check.name.startswith("median is known to")
    ]
    return [one for one in found if (one.shorter, one.longer) != (1.0, 1.0)]


def worst(found: Iterable[Doubt]) -> tuple[float, float]:
    """Return how many times shorter and longer a time may be for all doubts of it together.

    Causes that hold at once show the same excess, so that the largest stands for all.
    """
    known = list(found)
    return (
        max((one.shorter for one in known), default=1.0),
        max((one.longer for one in known), default=1.0),
    )


def _moved(name: str, result: object) -> tuple[float, float]:
    if name == "memory is steady":
        return 1.0, 1.0
    if not isinstance(result, Latency):
        return math.inf, math.inf
    if name in DISTURBANCES:
        return slowed_up_to(result), 1.0
    if name not in _BOTH_WAYS:
        return math.inf, math.inf
    factor = _BOTH_WAYS[name](result)
    return factor, factor


def _drifted(latency: Latency) -> float:
    return 1 + abs(drift(latency.by_process).relative_change)


def _unsettled(latency: Latency) -> float:
    return max(_UNSETTLED, _drifted(latency))


def _other_mode(latency: Latency) -> float:
    groups = latency.by_process
    centred = np.concatenate([np.asarray(group) / statistics.median(group) for group in groups])
    return modes(centred, sum(map(effective_size, groups))).ratio


def _dependent(latency: Latency) -> float:
    """Return by what the interval of one process falls short, as its samples are alike."""
    count, worth = len(latency.samples_ms), sum(map(effective_size, latency.by_process))
    low, high = latency.interval_ms
    side = max(math.log(high / latency.median_ms), math.log(latency.median_ms / low))
    return math.exp(side * (math.sqrt(count / worth) - 1))


_BOTH_WAYS: dict[str, Callable[[Latency], float]] = {
    "no drift": _drifted,
    "warm-up settled": _unsettled,
    "one mode": _other_mode,
    "interval allows for dependence": _dependent,
}
