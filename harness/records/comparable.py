"""Defines comparable values: what of a result can be held against that of another."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Timed:
    """They are times of which each process gave a median; less is better.

    Attributes:
        name: of the figure.
        unit: of the medians.
        medians: one a process, in order.
        samples: that each median is of.
        beside: equal in two figures whose processes took turns with each other, the first with
            the first; empty where they took none.
        turns: medians of the turns, each process's after the other's, as many of each.
        jobs: how many of the medians each job gave, in order, such as a run of a plan; empty
            where one gave them all.
    """

    name: str
    unit: str
    medians: tuple[float, ...]
    samples: tuple[int, ...]
    beside: str = ""
    turns: tuple[float, ...] = field(default=(), repr=False)
    jobs: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.medians or len(self.medians) != len(self.samples):
            raise ValueError("a time needs a median and a count of samples for each process")
        if len(self.turns) % len(self.medians):
            raise ValueError("each process has as many turns as any other")
        if self.jobs and (min(self.jobs) < 1 or sum(self.jobs) != len(self.medians)):
            raise ValueError("each process is of one job")
        if not all(0 < median < float("inf") for median in self.medians):
            raise ValueError("a time is positive and finite")

    @property
    def by_process(self) -> npt.NDArray[np.float64]:
        """Return the medians of the turns of each process, `(P, T)`."""
        return np.asarray(self.turns, np.float64).reshape(len(self.medians), -1)

    @property
    def by_job(self) -> tuple[tuple[float, ...], ...]:
        """Return the medians of the processes of each job."""
        ends = tuple(accumulate(self.jobs)) or (len(self.medians),)
        return tuple(self.medians[a:b] for a, b in pairwise((0, *ends)))

    @property
    def value(self) -> float:
        """Return the geometric mean of the medians."""
        mean = np.exp(np.mean(np.log(self.medians)))
        # Rounding may take it out of the range that a mean lies in.
        return float(np.clip(mean, min(self.medians), max(self.medians)))


# A count that is a little different in every process.
PEAK_MEMORY = "peak memory"


@dataclass(frozen=True)
class Counted:
    """A figure without spread: an exact count, or what a model makes of counts; less is better.

    Peak memory is one too, of which a margin takes the place of a spread.
    """

    name: str
    unit: str
    value: int | float  # a count stays whole in a file

    def __post_init__(self) -> None:
        if not 0 <= self.value < float("inf"):
            raise ValueError("a count is not negative and finite")

    @property
    def exact(self) -> bool:
        """Say whether the same code gives the same figure again."""
        return self.name != PEAK_MEMORY

    @property
    def is_time(self) -> bool:
        """Say whether a model made a time of counts: it has the margin of times."""
        return self.unit == "ms"


@dataclass(frozen=True, eq=False)
class Decisions:
    """It is what a system decided on P pairs in F folds.

    Attributes:
        right: `(P,)`; whether each pair was decided rightly.
        lost: `(F,)`; of each fold the share of right decisions that its threshold, chosen on
            the others, loses against the one that is best on all pairs; negative where it wins.
    """

    right: npt.NDArray[np.bool_]
    lost: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Decided:
    """It says which of a dataset's pairs were decided rightly; more is better.

    Attributes:
        name: of the figure.
        value: share of right decisions, 0 to 1.
        pairs: how many.
        right: a bit a pair, packed; empty where only the share is known.
        digest: hash of the pairs; empty where they are not known.
        identities: uint32, `(P, 2)`, a number for each person; empty where they are
            not known. The pairs' digest stands for them, so a baseline needs none.
        lost: what each fold's choice of threshold costs, as in `Decisions`; empty in
            baselines of format 1.
    """

    name: str
    value: float
    pairs: int
    right: bytes = b""
    digest: str = ""
    identities: bytes = field(default=b"", repr=False)
    lost: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        sizes = len(self.right), len(self.identities)
        if sizes[0] not in (0, -(-self.pairs // 8)) or sizes[1] not in (0, 8 * self.pairs):
            raise ValueError(f"decisions and identities are not those of {self.pairs} pairs")

    @classmethod
    def pack(
        cls, name: str, decisions: Decisions, digest: str, identities: npt.ArrayLike
    ) -> Decided:
        """Pack decisions on P pairs, and `(P, 2)` identities or none."""
        right = decisions.right
        people = np.asarray(identities, "<u4").tobytes()
        bits = np.packbits(right).tobytes()
        lost = tuple(decisions.lost.tolist())
        return cls(name, float(np.mean(right)), len(right), bits, digest, people, lost)

    @property
    def decisions(self) -> Decisions:
        """Return what was decided on each of P pairs."""
        bits = np.unpackbits(np.frombuffer(self.right, np.uint8), count=self.pairs)
        return Decisions(bits.astype(np.bool_), np.array(self.lost))

    @property
    def people(self) -> npt.NDArray[np.int64]:
        """Return who is in each pair, `(P, 2)`; or `(0, 2)` where they are not known."""
        return np.frombuffer(self.identities, "<u4").astype(np.int64).reshape(-1, 2)


Figure = Timed | Counted | Decided
