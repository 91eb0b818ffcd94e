"""What rows of docs/truth.md say, and what is asked for.

Written for `truth.py` and `truth_time.py`, which fill them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import simulated

from facebench.harness.records.accuracy import Bounded

SEED = 22
LEVEL = 0.05


@dataclass(frozen=True)
class Row:
    """What came of one figure in one cell.

    Attributes:
        procedure: name in the registry.
        cell: graph of pairs, and difficulty.
        figure: what the interval is of; `level` or `power` for verdicts.
        trials: intervals, or verdicts, that were given.
        refused: share of trials in which there was none.
        hits: share of intervals that hold the truth, or of verdicts.
        above: share of intervals that lie above it.
        below: share of intervals that lie below it.
        width: mean, in percentage points; 0 for verdicts.
        promised: chance of a false verdict, or of an interval that misses.
    """

    procedure: str
    cell: str
    figure: str
    trials: int
    refused: float
    hits: float
    above: float = 0.0
    below: float = 0.0
    width: float = 0.0
    promised: float = LEVEL

    @property
    def error(self) -> float:
        """Three standard errors of a share that is as promised."""
        variance = self.promised * (1 - self.promised)
        return 3 * float(np.sqrt(variance / max(self.trials, 1)))

    @property
    def failed(self) -> bool:
        """Whether chance does not explain what is found; power fails nothing."""
        if self.figure == "power" or self.trials < 30:
            return False
        if self.figure == "level":
            return self.hits > self.promised + self.error
        return self.hits < 1 - self.promised - self.error


@dataclass(frozen=True)
class Plan:
    """What is asked for.

    Attributes:
        trials: in each cell.
        graphs: pairs, by name.
        difficulties: names in `simulated.DIFFICULTIES`.
    """

    trials: int
    graphs: dict[str, simulated.Pairs]
    difficulties: Sequence[str]

    def cells(self) -> Iterator[tuple[str, simulated.Pairs, float]]:
        """Name, pairs and d' of each."""
        for name, pairs in self.graphs.items():
            for difficulty in self.difficulties:
                yield f"{name}, {difficulty}", pairs, simulated.DIFFICULTIES[difficulty]

    def draws(self) -> Iterator[np.random.Generator]:
        """A generator for each trial."""
        return simulated.trials(SEED, self.trials)


Found = tuple[str, Bounded, float | None]


def held(procedure: str, cell: str, found: Iterable[Found]) -> list[Row]:
    """Rows from intervals and truths of all trials; a truth that is None is the mean of values."""
    figures: dict[str, list[tuple[Bounded, float | None]]] = {}
    for figure, one, truth in found:
        figures.setdefault(figure, []).append((one, truth))
    return [_held(procedure, cell, figure, tried) for figure, tried in figures.items()]


def _held(
    procedure: str, cell: str, figure: str, tried: Sequence[tuple[Bounded, float | None]]
) -> Row:
    mean = float(np.mean([one.value for one, _ in tried]))
    given = [(*one.interval, mean if t is None else t) for one, t in tried if one.interval]
    low, high, truth = np.array(given).reshape(-1, 3).T
    above, below = low > truth, high < truth
    return Row(
        procedure,
        cell,
        figure,
        len(given),
        1 - len(given) / len(tried),
        float(np.mean(~above & ~below)) if given else 1.0,
        float(np.mean(above)) if given else 0.0,
        float(np.mean(below)) if given else 0.0,
        100 * float(np.mean(high - low)) if given else 0.0,
    )
