"""Computes the variance of figures over pairs that share people, and intervals from it.

Each pair shifts a figure by its *influence*, and two pairs may go together where they have
a person in common. The variance is the sum of the products of the influences of all pairs
of pairs that do: of each person the square of the sum over the person's pairs, less what
pairs of the same two people make count twice (M. Fafchamps, F. Gubert, Journal of
Development Economics 83(2), 2007; P. Aronow, C. Samii, V. Assenova, "Cluster-robust
variance estimation for dyadic data", Political Analysis 23(4), 2015). A person with a large
share of the pairs pulls the figure after itself, for which the sums are corrected as in the
jackknife (A. C. Cameron, D. L. Miller, Journal of Human Resources 50(2), 2015).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, ndtri, stdtrit

from facebench.harness.stats.arrays import Booleans, IntArray, Reals

Interval = tuple[float, float]

# With fewer people no interval was found that holds: see docs/truth.md.
FEWEST_PEOPLE = 20

# Degrees of freedom for each person that a variance comes of: as many as intervals need to hold
# where few make all errors. A share that is no count leans further to one side.
OF_EACH, _OF_EACH_SHARE = 1.5, 0.75

_NORMAL = float(ndtri(0.975))


@dataclass(frozen=True)
class ClusteredSpread:
    """It says what is known of how far a figure lies from its truth.

    Attributes:
        variance: of the figure, people being chance.
        independent: what it would be, were pairs independent.
        carriers: how many people the variance comes of, were all alike in it: a few where
            most people add nothing, as where a few make all errors.
        most: degrees of freedom at most, whatever the carriers are.
    """

    variance: float
    independent: float
    carriers: float
    most: float = math.inf

    @property
    def design_effect(self) -> float:
        """Return how many pairs are worth one that is independent, 1 or more (L. Kish, 1965)."""
        if not self.independent:
            return 1.0
        return max(1.0, self.variance / self.independent)

    @property
    def deviation(self) -> float:
        """Return the standard deviation, no smaller than that of independent pairs."""
        return math.sqrt(max(self.variance, self.independent))

    @property
    def worth(self) -> float:
        """Return `design_effect`, widened for a variance that comes of few people."""
        return self.design_effect * (self.student() / _NORMAL) ** 2

    def wider(self, variance: float) -> ClusteredSpread:
        """Return this spread with a variance added that people have no part in."""
        return replace(self, variance=self.deviation**2 + variance)

    def student(self, of_each: float = OF_EACH, confidence: float = 0.95) -> float:
        """Return Student's factor of an interval, with so many degrees of freedom a carrier."""
        return float(stdtrit(self.degrees(of_each), (1 + confidence) / 2))

    def degrees(self, of_each: float = OF_EACH) -> float:
        """Return the degrees of freedom, 1 or more."""
        return min(max(of_each * self.carriers, 1.0), self.most)


@dataclass(frozen=True, eq=False)
class Members:
    """They say who is in each of P pairs.

    Attributes:
        first: `(P,)`, numbers from 0 to `count` - 1.
        second: `(P,)`; the same as `first` where a pair is of one person.
        strata: `(P,)`, small numbers; the figure's parts of which each has a mean of its own.
        count: people.
        blocks: `(P,)`, numbers of parts that have nobody in common, where people are not all
            told apart: what pairs of a block have in common is chance then, whoever is in
            them. Empty elsewhere.
    """

    first: IntArray
    second: IntArray
    strata: IntArray
    count: int
    blocks: IntArray

    @classmethod
    def of(
        cls, people: npt.ArrayLike, strata: npt.ArrayLike, blocks: npt.ArrayLike = ()
    ) -> Members:
        """Number who is in the pairs, `(P, 2)`; given none, `(0, 2)`, each pair is on its own."""
        parts, others = np.asarray(strata, np.int64), np.asarray(blocks, np.int64)
        who = np.asarray(people, np.int64).reshape(-1, 2)
        if not len(who):
            alone = np.arange(len(parts))
            return cls(alone, alone, parts, len(parts), others)
        names, index = np.unique(who, return_inverse=True)
        first, second = index.reshape(-1, 2).T
        return cls(first, second, parts, len(names), others)

    def spread(self, influence: Reals) -> ClusteredSpread:
        """Return the spread of a figure that each pair shifts by its influence.

        Args:
            influence: `(P,)`; its mean is 0 in each stratum.
        """
        if len(self.blocks):
            return self._over_blocks(influence)
        sums = np.zeros(self.count)
        for stratum in np.unique(self.strata):
            inside = self.strata == stratum
            share = np.minimum(self._sums(inside / np.count_nonzero(inside)), 0.5)
            sums += self._sums(np.where(inside, influence, 0.0)) / (1 - share)
        squares = sums**2
        total, fourth = float(squares.sum()), float((squares**2).sum())
        return ClusteredSpread(
            variance=total - self._counted_twice(influence),
            independent=float((influence**2).sum()),
            carriers=total**2 / fourth if fourth else 0.0,
        )

    def _over_blocks(self, influence: Reals) -> ClusteredSpread:
        names, block = np.unique(self.blocks, return_inverse=True)
        squares = np.bincount(block, influence) ** 2
        total, fourth = float(squares.sum()), float((squares**2).sum())
        return ClusteredSpread(
            variance=total * len(names) / (len(names) - 1),
            independent=float((influence**2).sum()),
            carriers=total**2 / fourth if fourth else 0.0,
            most=len(names) - 1,
        )

    def _sums(self, values: Reals) -> Reals:
        """Sum over the pairs of each person, `(count,)`."""
        apart = np.where(self.first == self.second, 0.0, values)
        return np.asarray(
            np.bincount(self.first, values, self.count)
            + np.bincount(self.second, apart, self.count)
        )

    def _counted_twice(self, influence: Reals) -> float:
        apart = self.first != self.second
        low, high = np.minimum(self.first, self.second), np.maximum(self.first, self.second)
        _, twos = np.unique((low * self.count + high)[apart], return_inverse=True)
        return float((np.bincount(twos, influence[apart]) ** 2).sum())


def centred(values: Reals, one: Booleans) -> Reals:
    """Return values less the mean of their kind, `(P,)`; `one` says which of two it is."""
    means = [np.mean(values[kind]) if np.any(kind) else 0.0 for kind in (one, ~one)]
    return np.asarray(values - np.where(one, *means))


def rate_interval(rate: float, spread: ClusteredSpread, confidence: float = 0.95) -> Interval:
    """Return the interval of a rate strictly between 0 and 1.

    That of Clopper and Pearson for as many independent trials as would have this variance,
    fewer where it comes of few people (E. L. Korn, B. I. Graubard, "Confidence intervals for
    proportions with small expected number of positive counts", Survey Methodology 24(2), 1998).
    """
    tail = (1 - confidence) / 2
    widened = spread.deviation * spread.student(confidence=confidence) / float(ndtri(1 - tail))
    trials = rate * (1 - rate) / widened**2
    hits, misses = rate * trials, (1 - rate) * trials
    low = betaincinv(hits, misses + 1, tail)
    return float(low), float(betaincinv(hits + 1, misses, 1 - tail))


def share_interval(share: float, spread: ClusteredSpread, confidence: float = 0.95) -> Interval:
    """Return the interval of a share that is no count, from its logit; 0 < share < 1."""
    middle = math.log(share / (1 - share))
    factor = spread.student(_OF_EACH_SHARE, confidence)
    side = factor * spread.deviation / (share * (1 - share))
    # Beyond 700 the exponential overflows; both ends are 0 or 1 long before.
    low, high = (1 / (1 + math.exp(min(-end, 700.0))) for end in (middle - side, middle + side))
    return low, high


def too_few(people: int) -> str:
    """Say why there is no interval of so few people; empty where there are enough."""
    if people >= FEWEST_PEOPLE:
        return ""
    return f"{people} people are too few for an interval that holds: it needs {FEWEST_PEOPLE}"


def none_seen(trials: int, confidence: float = 0.95) -> float:
    """Return the upper bound of a rate of which no case is seen in so many independent trials.

    Example:
        >>> round(none_seen(300), 4)  # the rule of three says 0.01
        0.0099
    """
    return float(1 - (1 - confidence) ** (1 / trials))
