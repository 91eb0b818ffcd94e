"""Two systems on the same pairs: is one better, or does it only look so?

Pairs that both get right, or both wrong, say nothing of that. This module needs
neither torch nor TVM.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr

from facebench.architectures.errors import BadInputError
from facebench.harness.verification.counts import Counts, Reals
from facebench.harness.verification.metrics import Booleans, Scores
from facebench.harness.verification.resampling import Interval, draw, percentile_interval


@dataclass(frozen=True)
class PairedComparison:
    """How much more accurate the second system is than the first.

    `interval` and `p_value` answer the same question by different assumptions
    and may disagree: see `compare`.

    Attributes:
        pairs: that both systems decided.
        only_first: pairs that the first system alone got right.
        only_second: pairs that the second system alone got right.
        interval: 95 % bootstrap interval of the difference.
        over: what was drawn with replacement, `identities` or `pairs`.
        p_value: McNemar's exact test, two-sided.
    """

    pairs: int
    only_first: int
    only_second: int
    interval: Interval
    over: str
    p_value: float

    @property
    def difference(self) -> float:
        """Accuracy of the second system minus that of the first, -1 to 1."""
        return (self.only_second - self.only_first) / self.pairs


def compare(
    first_right: Booleans,
    second_right: Booleans,
    identities: npt.ArrayLike,
    seed: int = 0,
    replicates: int = 2000,
) -> PairedComparison:
    """Compare two systems that decided the same pairs.

    The p-value is McNemar's: of the pairs that one system alone gets right, each
    is as likely to be either's if the systems are equal (Q. McNemar,
    Psychometrika 12(2), 1947, by the exact binomial distribution). It takes
    pairs as independent. The interval does not where identities are known, and
    is wider than need be for that (see `facebench.harness.verification.resampling`): it can
    hold zero where the p-value is small.

    Args:
        first_right: `(P,)`; whether the first system decided each pair rightly.
        second_right: `(P,)`; the same of the second.
        identities: `(P, 2)`, a number for each person; empty where they are unknown.
        seed: the same one gives the same interval.
        replicates: how often people, or pairs, are drawn.

    Raises:
        BadInputError: the arrays are not those of the same pairs, or there are none.

    Example:
        >>> second = np.array([True] * 9 + [False])
        >>> made = compare(np.arange(10) < 3, second, ())
        >>> made.only_second, made.difference, made.p_value, made.over
        (6, 0.6, 0.03125, 'pairs')
    """
    first, second = np.asarray(first_right, np.bool_), np.asarray(second_right, np.bool_)
    if first.ndim != 1 or first.shape != second.shape or not len(first):
        raise BadInputError(
            f"decisions of shape {first.shape} and {second.shape} can't be compared pair by pair: "
            "give one of each a pair, and at least one pair"
        )
    over, blocks = draw(identities, len(first), replicates, seed)
    only_first, only_second = int(np.sum(first & ~second)), int(np.sum(second & ~first))
    return PairedComparison(
        pairs=len(first),
        only_first=only_first,
        only_second=only_second,
        interval=percentile_interval(_differences(first, second, blocks)),
        over=over,
        p_value=mcnemar(only_first, only_second),
    )


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided probability of a split as uneven as this one when either side is as likely.

    Example:
        >>> mcnemar(0, 5)
        0.0625
    """
    tail = float(bdtr(min(only_first, only_second), only_first + only_second, 0.5))
    # Twice the smaller tail counts an even split twice.
    return min(1.0, 2 * tail)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values of a family of tests, in the order given.

    With all below 0.05 called different, the chance of any wrong call is at most 0.05.

    Source: S. Holm, "A simple sequentially rejective multiple test procedure",
    Scandinavian Journal of Statistics 6(2), 1979.

    Raises:
        BadInputError: one of them isn't between 0 and 1.

    Example:
        >>> holm([0.5, 0.01, 0.02])
        [0.5, 0.03, 0.04]
    """
    raw = np.asarray(p_values, np.float64)
    wrong = raw[~((raw >= 0) & (raw <= 1))]
    if len(wrong):
        raise BadInputError(f"{wrong[0]} is no p-value: give numbers from 0 to 1")
    order = np.argsort(raw, kind="stable")
    factors = np.arange(len(raw), 0, -1)
    adjusted = np.empty_like(raw)
    adjusted[order] = np.minimum(np.maximum.accumulate(raw[order] * factors), 1.0)
    return [float(value) for value in adjusted]


def decisions(
    scores: Scores, folds: npt.NDArray[np.integer], thresholds: Sequence[float]
) -> Booleans:
    """Whether each pair is called the same, `(P,)`, by its own fold's threshold.

    Args:
        scores: `(P,)`; higher means more alike.
        folds: `(P,)`; the fold of each pair.
        thresholds: one a fold, in ascending order of the folds' numbers.

    Raises:
        BadInputError: there are not as many thresholds as folds, or folds as scores.

    Example:
        >>> decisions(np.array([0.4, 0.4]), np.array([0, 1]), (0.3, 0.5))
        array([ True, False])
    """
    names, fold = np.unique(folds, return_inverse=True)
    if len(names) != len(thresholds) or len(fold) != len(scores):
        raise BadInputError(
            f"{len(scores)} scores in {len(fold)} places of {len(names)} folds can't be decided by "
            f"{len(thresholds)} thresholds: give a fold a score and a threshold a fold"
        )
    # In single precision a threshold between two neighbouring scores would round to one of them.
    return np.asarray(np.asarray(scores, np.float64) >= np.asarray(thresholds, np.float64)[fold])


def _differences(first: Booleans, second: Booleans, blocks: Iterator[Counts]) -> Reals:
    """Difference of accuracy in each draw, `(R,)`; draws that leave no pair are left out."""
    gain = second.astype(np.int64) - first.astype(np.int64)
    gains, totals = (
        np.concatenate(sums)
        for sums in zip(*((block @ gain, block.sum(axis=1)) for block in blocks), strict=True)
    )
    return np.asarray(gains[totals > 0] / totals[totals > 0])
