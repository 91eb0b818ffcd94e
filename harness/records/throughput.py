"""Defines the result of measuring how many images are embedded in a second."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facebench.harness.machine.conditions import Conditions
from facebench.harness.records.results import Result
from facebench.harness.stats.intervals import median_interval


@dataclass(frozen=True)
class Throughput(Result):
    """Images embedded a second, with as many single-threaded sessions as the case has threads.

    Attributes:
        rates: images a second in successive windows of time, after warm-up.
        label: as in `Latency`.
        reference_us: as in `Latency`, before, between and after the windows; empty in
            records before schema 6.
        fastest_us: as in `Process`.
        conditions: as in `Process`.
    """

    rates: tuple[float, ...]
    label: str = ""
    reference_us: tuple[float, ...] = ()
    fastest_us: float = 0.0
    conditions: Conditions | None = None

    @property
    def images_per_second(self) -> float:
        """Return the median of the windows."""
        return float(np.median(self.rates))

    @property
    def interval(self) -> tuple[float, float]:
        """Return its 95 % interval, distribution-free; how processes differ is not in it."""
        return median_interval(self.rates)
