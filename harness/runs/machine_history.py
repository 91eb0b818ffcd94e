"""Keeps this machine's times, and finds how much they differ from hour to hour.

The interval of a median speaks of the minutes in which it was taken. Clocks, neighbours
and heat move a shared machine by some percent over a day, and runs near in time are alike
in that: no number of processes within a minute shows it. So each timed case leaves its
median in the cache, and what the same case took in other hours says how far the next
figure may be from the long run.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path

import numpy as np

from facebench.architectures.errors import BadInputError
from facebench.harness.machine.environment import machine_key
from facebench.harness.stats.procedures import procedure
from facebench.harness.storage import cache, writing
from facebench.harness.storage.serialization import convert, parse_json

# Of two hours Student's factor is 12.7, which says nothing; of three it is 4.3.
LEAST_HOURS = 3

_HOUR_S = 3600

# What is read of the past, from its end: some 10,000 runs.
_READ_BYTES = 2**20


@dataclass(frozen=True)
class Run:
    """It is a median of a case.

    Attributes:
        case: whose runs are comparable; a fingerprint.
        at: seconds since the epoch.
        median_ms: of its samples.
    """

    case: str
    at: float
    median_ms: float

    @property
    def hour(self) -> int:
        """Return the hour of the run, counted from the epoch."""
        return int(self.at // _HOUR_S)


@dataclass(frozen=True)
class LongRun:
    """It says how far a median may be from that of the long run.

    Attributes:
        spread: standard deviation of a median's logarithm over hours: 0.01 is 1 %.
        hours: that were seen, 3 or more.
    """

    spread: float
    hours: int

    def interval_ms(
        self, median_ms: float, within: tuple[float, float], confidence: float = 0.95
    ) -> tuple[float, float]:
        """Return the interval of the long-run median, from one run's; no narrower than the run's
        own.
        """
        from scipy.special import stdtrit  # takes a while to load

        reach = float(stdtrit(self.hours - 1, (1 + confidence) / 2)) * self.spread
        low, high = median_ms * math.exp(-reach), median_ms * math.exp(reach)
        return min(low, within[0]), max(high, within[1])


@procedure("long run")
def long_run(runs: Iterable[Run]) -> LongRun | None:
    """Return what runs of cases in several hours say; None where no three hours can be compared.

    The variance is half the mean squared difference between two runs of one case in
    different hours, each pair of hours counted alike: unbiased for runs whose hours are
    independent, however many runs an hour holds and however alike they are. Cases of the
    same hours share what the machine did, so hours are what is counted.
    """
    by_case: defaultdict[str, defaultdict[int, list[float]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for run in runs:
        by_case[run.case][run.hour].append(math.log(run.median_ms))
    squares = []
    seen: set[int] = set()
    for hours in by_case.values():
        for a, b in combinations(hours, 2):
            differences = [x - y for x, y in product(hours[a], hours[b])]
            squares.append(float(np.mean(np.square(differences))) / 2)
            seen |= {a, b}
    if len(seen) < LEAST_HOURS:
        return None
    return LongRun(math.sqrt(float(np.mean(squares))), len(seen))


def remember(run: Run) -> None:
    """Keep a run in this machine's past."""
    line = json.dumps([run.case, run.at, run.median_ms]) + "\n"
    # On a full disk the past lacks a run, and that is all.
    with suppress(OSError, BadInputError):
        path = _path()
        path.parent.mkdir(parents=True, exist_ok=True)
        with writing.shared(path) as file:
            writing.write_all(file, line.encode())


def past() -> list[Run]:
    """Return this machine's runs, as far as the cache has them; a line cut short is passed over."""
    return list(_read(_path()))


def _read(path: Path) -> Iterator[Run]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(size - _READ_BYTES, 0))
            lines = file.read().splitlines()
    except OSError:
        return
    for line in lines:
        with suppress(BadInputError):
            run = Run(*convert(parse_json(line), tuple[str, float, float]))
            if run.median_ms > 0:
                yield run


def _path() -> Path:
    return cache.root() / f"history-{machine_key()}.jsonl"
