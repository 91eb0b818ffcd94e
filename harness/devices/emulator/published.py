"""Reads the published latencies that the model is fitted to and judged by, each with the counts of
code of its age.

The data are in `results/arm_model`: `published.csv`, single-threaded times of ncnn's own
benchmark by board, network and date; `counts.csv`, what an inference of that network
executed on the emulated core, by version of ncnn.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache

from facebench.harness.devices.emulator.terms import Terms
from facebench.harness.machine.boards import BOARDS
from facebench.harness.storage import shipped

# Code is of a time's age where no more days lie between them: a runtime's kernels change.
_SAME_AGE_DAYS = 400

# Cores that execute half precision, in which ncnn computes there unless told otherwise.
HALF_PRECISION = ("cortex-a55", "cortex-a76", "cortex-a78", "tsv110")


@dataclass(frozen=True)
class Count:
    """It is what one inference executes on an emulated core.

    Attributes:
        version: of the runtime; of ncnn it is a date.
        emulated: the core whose code and caches these are.
        core: whose pipeline was simulated.
        precision: that ncnn computed in.
        cycles: of the simulated pipeline.
        l1_misses: of the simulated first level of cache.
        memory_bytes: to and from memory.
    """

    version: str
    emulated: str
    core: str
    network: str
    precision: str
    instructions: int
    cycles: int
    l1_misses: int
    memory_bytes: int


@dataclass(frozen=True)
class PublishedTime:
    """It is one published latency of one thread.

    Attributes:
        board: of `boards.BOARDS`.
        device: as the publication names it.
        ms: the least of its repetitions.
        published: when it was.
        line: of the file that published it.
    """

    board: str
    device: str
    network: str
    precision: str
    ms: float
    published: date
    line: int

    @property
    def core(self) -> str:
        """Return the core's name."""
        return BOARDS[self.board].core


@dataclass(frozen=True)
class Row:
    """It is a published time with the model's terms of code of its age."""

    time: PublishedTime
    count: Count
    terms: Terms


@cache
def times() -> tuple[PublishedTime, ...]:
    """Return all published times that are shipped."""
    return tuple(
        PublishedTime(
            one["board"],
            one["device"],
            one["network"],
            one["precision"],
            float(one["ms"]),
            date.fromisoformat(one["date"]),
            int(one["line"]),
        )
        for one in table("published.csv")
    )


@cache
def counts() -> tuple[Count, ...]:
    """Return all counts that are shipped."""
    return tuple(
        Count(
            one["version"],
            one["emulated"],
            one["core"],
            one["network"],
            one["precision"],
            *(int(one[name]) for name in ("instructions", "cycles", "l1_misses", "memory_bytes")),
        )
        for one in table("counts.csv")
    )


@cache
def rows() -> tuple[Row, ...]:
    """Return the times that there are counts of the same age for: one for each device and
    network, the closest in age.
    """
    alike: dict[tuple[str, str, str], list[Count]] = {}
    for count in counts():
        alike.setdefault((count.core, count.network, count.precision), []).append(count)
    closest: dict[tuple[str, str], tuple[int, Row]] = {}
    for time in times():
        for count in alike.get((time.core, time.network, time.precision), []):
            days = abs((_released(count.version) - time.published).days)
            key = (time.device + time.board, time.network)
            if days <= _SAME_AGE_DAYS and (key not in closest or days < closest[key][0]):
                closest[key] = days, row(time, count)
    return tuple(found for _, found in closest.values())


def calibrating(core: str, board: str = "") -> int:
    """Return how many of `rows` are of a core, or of one board alone."""
    return sum(one.time.core == core and (not board or one.time.board == board) for one in rows())


def row(time: PublishedTime, count: Count) -> Row:
    """Return a time with the terms of its counts on its board."""
    figures = BOARDS[time.board].described().figures
    assert figures is not None
    terms = Terms.of(count.cycles, count.l1_misses, count.memory_bytes, figures)
    return Row(time, count, terms)


def _released(version: str) -> date:
    return datetime.strptime(version, "%Y%m%d").date()


def table(name: str) -> list[dict[str, str]]:
    """Return the rows of a file in `results/arm_model`, by column."""
    with (shipped.folder("arm_model") / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
