"""Compares two systems on the same pairs: is one better, or does it only look so?

Pairs that both get right, or both wrong, say nothing of that. Verdict and interval come of
one procedure: Tango's score for the difference of two accuracies on the same pairs
(`facebench.harness.stats.tango`), over the deviation that people give it
(`facebench.harness.stats.clustered`), by Student's distribution. How often it errs is
measured where the truth is known: see docs/truth.md. This module needs neither torch nor TVM.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, stdtr

from facebench.architectures.errors import BadInputError
from facebench.harness.records.comparable import Decisions
from facebench.harness.stats import tango
from facebench.harness.stats.clustered import (
    ClusteredSpread,
    Interval,
    Members,
    centred,
    too_few,
)
from facebench.harness.stats.procedures import procedure
from facebench.harness.verification.folds import choice_variance

# What the choice of thresholds adds to the variance, where it is not known: a share that
# simulated networks on LFW's pairs do not reach.
_CHOICE = 0.5


@dataclass(frozen=True)
class PairedComparison:
    """It says how much more accurate the second system is than the first.

    Attributes:
        pairs: that both systems decided.
        only_first: pairs that the first system alone got right.
        only_second: pairs that the second system alone got right.
        people: in all pairs; as many as pairs where they are unknown.
        over: what is chance, `identities`, or `pairs` where people are unknown.
        spread: of the difference.
    """

    pairs: int
    only_first: int
    only_second: int
    people: int
    over: str
    spread: ClusteredSpread

    @property
    def difference(self) -> float:
        """Return the accuracy of the second system minus that of the first, -1 to 1."""
        return (self.only_second - self.only_first) / self.pairs

    @property
    def refused(self) -> str:
        """Say why there are too few people for a verdict; empty where there are enough."""
        return too_few(self.people) if self.over == "identities" else ""

    @cached_property
    def interval(self) -> Interval:
        """Return the 95 % interval of the difference; 0 is outside just if `p_value` < 0.05.

        With too few people it is all there is, -1 to 1.
        """
        if self.refused:
            return -1.0, 1.0
        return tango.bounds(*self._counts, self.widening * self._student)

    @property
    def p_value(self) -> float:
        """Say how often systems that are equal look as different as these, two-sided."""
        return min(1.0, 2 * min(self.p_above(0.0), self.p_below(0.0)))

    @property
    def mcnemar(self) -> float:
        """Return McNemar's exact two-sided p-value, which takes pairs as independent."""
        return mcnemar(self.only_first, self.only_second)

    @property
    def widening(self) -> float:
        """Say how many times wider the difference varies than with independent pairs; 1 or more."""
        return math.sqrt(self.spread.design_effect)

    def p_above(self, bound: float) -> float:
        """Say how often a lead this large is seen where the true one is `bound` or less."""
        return self._tail(-self._score(bound))

    def p_below(self, bound: float) -> float:
        """Say how often a lead this small is seen where the true one is `bound` or more."""
        return self._tail(self._score(bound))

    @property
    def _counts(self) -> tuple[int, int, int]:
        # Where nothing differs the pairs of one person are taken for one.
        pairs = self.pairs if self.only_first + self.only_second else min(self.pairs, self.people)
        return self.only_first, self.only_second, pairs

    @property
    def _student(self) -> float:
        return self.spread.student() if self.spread.carriers else tango.NORMAL

    def _score(self, bound: float) -> float:
        return tango.score(*self._counts, bound) / self.widening

    def _tail(self, score: float) -> float:
        if self.refused:
            return 1.0
        degrees = self.spread.degrees() if self.spread.carriers else math.inf
        return float(stdtr(degrees, score))


@procedure("paired comparison")
def compare(
    first: Decisions, second: Decisions, identities: npt.ArrayLike, blocks: npt.ArrayLike = ()
) -> PairedComparison:
    """Compare two systems that decided the same pairs.

    Args:
        first: what the first system decided, P pairs in F folds.
        second: the same of the second.
        identities: `(P, 2)`, a number for each person; empty where they are unknown.
        blocks: `(P,)`; see `Members`.

    Raises:
        BadInputError: the arrays are not those of the same pairs, or there are none.

    Example:
        >>> first, second = (Decisions(np.arange(10) < n, np.zeros(2)) for n in (3, 9))
        >>> made = compare(first, second, ())
        >>> made.only_second, made.difference, made.mcnemar, made.over
        (6, 0.6, 0.03125, 'pairs')
    """
    one, two = first.right, second.right
    if one.ndim != 1 or one.shape != two.shape or not len(one):
        raise BadInputError(
            f"decisions of shape {one.shape} and {two.shape} can't be compared pair by pair: "
            "give one of each a pair, and at least one pair"
        )
    people = np.asarray(identities)
    if people.size and people.shape != (len(one), 2):
        raise BadInputError(
            f"identities of shape {people.shape} are not those of {len(one)} pairs: give two a "
            "pair, or none at all"
        )
    genuine = people[:, 0] == people[:, 1] if people.size else np.ones(len(one), np.bool_)
    members = Members.of(people, genuine, blocks)
    gain = two.astype(np.float64) - one.astype(np.float64)
    spread = members.spread(centred(gain, genuine) / len(gain))
    if len(first.lost) and len(first.lost) == len(second.lost):
        chosen = choice_variance(second.lost - first.lost)
    else:
        chosen = _CHOICE * spread.deviation**2
    return PairedComparison(
        pairs=len(one),
        only_first=int(np.sum(one & ~two)),
        only_second=int(np.sum(two & ~one)),
        people=members.count,
        over="identities" if people.size else "pairs",
        spread=spread.wider(chosen),
    )


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the two-sided probability of a split as uneven as this if either side is as likely.

    Example:
        >>> mcnemar(0, 5)
        0.0625
    """
    tail = float(bdtr(min(only_first, only_second), only_first + only_second, 0.5))
    # Twice the smaller tail counts an even split twice.
    return min(1.0, 2 * tail)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return adjusted p-values of a family of tests, in the order given.

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
