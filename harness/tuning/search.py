"""Provides a search for the cheapest of a workload's tilings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from facebench.harness.compiler.tiling import Tiling
from facebench.harness.compiler.workload import Workload
from facebench.harness.tuning.costs import Failure, TilingCost
from facebench.harness.tuning.proposals import Proposals

# Tilings that are measured beside each other, with the best so far among them.
_BATCH = 8

# The model's choice is the first of the tilings.
MODEL = 0


@dataclass
class Trials:
    """What was tried.

    Attributes:
        tilings: of the workload, by modelled cost.
        costs: of those that were tried, by number, as if all had been measured at once.
        best: the cheapest one's number; the model's choice before there is any.
        failures: why others have no cost, by number.
    """

    tilings: Sequence[Tiling]
    costs: dict[int, float] = field(default_factory=dict)
    best: int = MODEL
    failures: dict[int, str] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Return how many tilings were tried."""
        return len(self.costs) + len(self.failures)

    def add(self, numbers: Sequence[int], found: Sequence[float | Failure]) -> None:
        """Add what was measured at once.

        The best so far is measured again each time: as much slower as it is than before
        was the machine, and with it the others.
        """
        measured = {n: c for n, c in zip(numbers, found, strict=True) if isinstance(c, float)}
        again = measured.get(self.best, math.nan)
        slower = again / self.costs.get(self.best, again)
        for number, cost in zip(numbers, found, strict=True):
            if number in self.costs:
                continue
            if isinstance(cost, Failure):
                self.failures[number] = cost.reason
            else:
                self.costs[number] = cost / slower if math.isfinite(slower) else cost
        if self.costs:
            self.best = min(self.costs, key=self.costs.__getitem__)


def search(
    work: Workload,
    tilings: Sequence[Tiling],
    cost: TilingCost,
    trials: int,
    known: Sequence[Tiling] = (),
) -> Iterator[Trials]:
    """Try tilings of a workload; what was tried so far, after each batch.

    Args:
        work: the workload.
        tilings: by modelled cost.
        cost: where they are tried.
        trials: how many of them; at least one.
        known: what searches found before, which are tried among the first.

    Raises:
        LostError: the device answers no more.
    """
    done, proposals = Trials(tilings), Proposals(tilings)
    before = [tilings.index(one) for one in known if one in tilings]
    numbers = proposals.first(min(_BATCH, trials), before)
    while numbers:
        done.add(numbers, cost.measure_all(work, [tilings[number] for number in numbers]))
        yield done
        more = proposals.next(min(_BATCH - 1, trials - done.count), done.best)
        numbers = [done.best, *more] if more else []
