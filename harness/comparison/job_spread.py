"""Says how much jobs of the same code differ, where those compared are too few to show it.

Two runs one after the other differ by what the machine was like in each: its clocks, its
heat, its neighbours. No number of processes within a run shows that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from facebench.harness.runs.machine_history import LongRun

# Jobs a side that show by themselves how much jobs differ.
ENOUGH_JOBS = 3

# A standard deviation that is taken where nothing is known: jobs on quiet machines have been
# seen to differ by 1 to 3 %, those of shared runners in clouds by up to 10 %.
CAUTIOUS = 0.1

# Of fewer hours Student's factor at a chance of 1 % is over 3.4, and the cautious spread
# says more.
ENOUGH_HOURS = 6


@dataclass(frozen=True)
class JobSpread:
    """It holds a standard deviation between jobs, and where it comes from.

    Attributes:
        spread: of a job's logarithm: 0.03 is 3 %.
        degrees: of freedom with which it is known; infinite where it is taken as given.
        source: in words.
    """

    spread: float
    degrees: float
    source: str

    def __str__(self) -> str:
        spread = f"{self.spread:.1%}" if self.spread >= 0.001 else f"{100 * self.spread:.2g}%"
        return f"jobs are taken to differ by {spread} (standard deviation; {self.source})"


def known_spread(histories: Iterable[LongRun | None], told: float | None = None) -> JobSpread:
    """Return what is told, else what the longest history of the machine shows, else `CAUTIOUS`.

    A history of few hours counts only where it shows more than that.

    Args:
        histories: of the machine, as each time that is compared knows it.
        told: by the user; None where nothing is.
    """
    if told is not None:
        return JobSpread(told, math.inf, "as told")
    longest = max(filter(None, histories), key=lambda one: one.hours, default=None)
    if longest is None:
        return JobSpread(CAUTIOUS, math.inf, "a cautious default; --between-jobs tells another")
    source = f"{longest.hours} hours of this machine's history"
    if longest.hours >= ENOUGH_HOURS:
        return JobSpread(longest.spread, longest.hours - 1, source)
    if longest.spread > CAUTIOUS:
        return JobSpread(longest.spread, math.inf, source)
    few = f"a cautious default: {longest.hours} hours of history are too few"
    return JobSpread(CAUTIOUS, math.inf, few)
