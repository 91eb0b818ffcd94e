"""Computes 95 % intervals of verification figures over the people that pairs share.

Pairs of one person are not independent: see `facebench.harness.stats.clustered`. Where a
dataset doesn't say who is in an image, and equal images don't either, pairs are taken as
independent; if they share people the intervals are too narrow.

What few people carry is not certain, and an interval that would not hold is refused. How
often these hold is measured where the truth is known: see docs/truth.md.

This module needs neither torch nor TVM.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betainc

from facebench.harness.records.accuracy import Accuracy, Bounded, OperatingPoint
from facebench.harness.records.pair_scores import PairScores
from facebench.harness.stats.arrays import Booleans, Floats, IntArray, Reals
from facebench.harness.stats.clustered import (
    ClusteredSpread,
    Interval,
    Members,
    centred,
    none_seen,
    rate_interval,
    share_interval,
    too_few,
)
from facebench.harness.stats.procedures import procedure
from facebench.harness.verification import metrics
from facebench.harness.verification.folds import choice_variance, decided

# With fewer people behind the spread of AUC no interval was found that holds.
FEWEST_CARRIERS = 2

# Folds, with fewer of which Student's factor is over 2.6.
_FEWEST_BLOCKS = 6

# Highest scores that say how the impostors' tail falls off.
_TAIL_SCORES = 20


def members(pairs: PairScores) -> Members:
    """Return who is in the pairs; genuine and impostor pairs are strata."""
    return Members.of(pairs.identities, pairs.same, blocks(pairs))


def blocks(pairs: PairScores) -> IntArray:
    """Return the folds, `(P,)`, where people are recovered and none of these is in two folds.

    A person may be in several groups, and the folds of the field's protocols share nobody.
    """
    none = np.zeros(0, np.int64)
    if not pairs.recovered:
        return none
    folds = np.asarray(pairs.folds, np.int64)
    names, index = np.unique(pairs.identities, return_inverse=True)
    placed = np.full(len(names), -1)
    for column in index.reshape(-1, 2).T:
        placed[column] = folds
    shared = any(np.any(placed[column] != folds) for column in index.reshape(-1, 2).T)
    return none if shared or len(np.unique(folds)) < _FEWEST_BLOCKS else folds


@procedure("accuracy")
def accuracy(score: Accuracy, confidence: float = 0.95) -> Bounded | None:
    """Mean of the folds, people and the choice of thresholds being chance.

    Args:
        score: by the protocol.
        confidence: of the interval, 0 to 1.

    Returns:
        None where the record holds no scores.
    """
    found = decided(score)
    if found is None or (pairs := score.scores) is None:
        return None
    names, fold, sizes = np.unique(pairs.folds, return_inverse=True, return_counts=True)
    influence = centred(found.right.astype(np.float64), pairs.same) / (len(names) * sizes[fold])
    spread = members(pairs).spread(influence).wider(choice_variance(found.lost))
    return _estimated(score.accuracy, spread, pairs, rate_interval, confidence)


@procedure("auc")
def auc(pairs: PairScores) -> Bounded:
    """Return the area under the ROC curve; a pair's influence is the share of the others it beats.

    Source: E. R. DeLong, D. M. DeLong, D. L. Clarke-Pearson, Biometrics 44(3), 1988; with
    people, N. A. Obuchowski, Biometrics 53(2), 1997.
    """
    value = metrics.auc(pairs.scores, pairs.same)
    genuine, impostor = np.sort(pairs.scores[pairs.same]), np.sort(pairs.scores[~pairs.same])
    beaten = np.where(
        pairs.same, _share_below(impostor, pairs.scores), 1 - _share_below(genuine, pairs.scores)
    )
    spread = members(pairs).spread(_by_kind(beaten - value, pairs.same))
    found = _estimated(value, spread, pairs, share_interval)
    if found.interval is None or not 0 < value < 1 or spread.carriers >= FEWEST_CARRIERS:
        return found
    people = members(pairs).count
    # Of scores that are all the same it comes of nobody.
    needed = math.ceil(people * FEWEST_CARRIERS / max(spread.carriers, 1.0))
    return Bounded(
        value,
        None,
        f"the spread of AUC comes of {spread.carriers:.0f} of {people:,} people, of whom "
        f"{FEWEST_CARRIERS} are needed for an interval that holds: about {needed:,} people "
        "would decide",
    )


@procedure("eer")
def eer(pairs: PairScores) -> Bounded:
    """Return the EER with its interval: FAR and FRR there, weighed by how steep the other is."""
    value = metrics.eer(pairs.scores, pairs.same)
    if not 0 < value < 1:
        return _estimated(value, ClusteredSpread(0.0, 0.0, 0.0), pairs, rate_interval)
    genuine, impostor = np.sort(pairs.scores[pairs.same]), np.sort(pairs.scores[~pairs.same])
    threshold = float(np.quantile(impostor, 1 - value))
    low, high = np.quantile(impostor, [max(1 - 1.5 * value, 0.1), 1 - 0.5 * value])
    steep = [np.mean((kind >= low) & (kind <= high)) for kind in (genuine, impostor)]
    weight = float(np.clip(steep[0] / sum(steep), 0.15, 0.85))
    wrong = (pairs.scores >= threshold) != pairs.same
    influence = _by_kind(centred(wrong.astype(np.float64), pairs.same), pairs.same)
    influence *= np.where(pairs.same, 1 - weight, weight)
    return _estimated(value, members(pairs).spread(influence), pairs, rate_interval)


@procedure("tar")
def tar(pairs: PairScores, point: OperatingPoint) -> Bounded:
    """Return the TAR at a FAR with an interval that holds what is not known of the threshold.

    The sides of both intervals, at this threshold and of the threshold, are added as roots
    of sums of squares (G. Y. Zou, A. Donner, Statistics in Medicine 27(10), 2008).
    """
    value = point.true_rate
    accepted = pairs.scores >= point.threshold
    shifts = _by_kind(centred(accepted.astype(np.float64), pairs.same), pairs.same)
    people = members(pairs)
    here = _estimated(value, people.spread(np.where(pairs.same, shifts, 0.0)), pairs, rate_interval)
    if here.interval is None:
        return here
    false = people.spread(np.where(pairs.same, 0.0, shifts))
    genuine, impostor = np.sort(pairs.scores[pairs.same]), np.sort(pairs.scores[~pairs.same])
    rates = [
        1 - float(np.searchsorted(genuine, score)) / len(genuine)
        for score in threshold_interval(
            impostor[::-1].astype(np.float64), len(impostor), point.rate, false
        )
    ]
    return Bounded(value, joined(value, here.interval, rates), here.note)


@dataclass(frozen=True)
class FixedRates:
    """They are the rates of error at a threshold that was set elsewhere.

    Attributes:
        threshold: on the cosine of two embeddings.
        far: share of the impostor pairs that are accepted.
        frr: share of the genuine pairs that are rejected.
    """

    threshold: float
    far: Bounded
    frr: Bounded


@procedure("fixed threshold")
def rates_at(pairs: PairScores, threshold: float) -> FixedRates:
    """Return FAR and FRR at a threshold that these pairs had no part in; people are chance."""
    # In double precision, since the threshold was a number of other scores' type.
    accepted = (pairs.scores.astype(np.float64) >= threshold).astype(np.float64)
    shifts = _by_kind(centred(accepted, pairs.same), pairs.same)
    people = members(pairs)
    rates = []
    for kind, share in (
        (~pairs.same, float(np.mean(accepted[~pairs.same]))),
        (pairs.same, 1 - float(np.mean(accepted[pairs.same]))),
    ):
        spread = people.spread(np.where(kind, shifts, 0.0))
        rates.append(_estimated(share, spread, pairs, rate_interval))
    return FixedRates(threshold, *rates)


def threshold_interval(highest: Reals, count: int, rate: float, false: ClusteredSpread) -> Interval:
    """Return the highest and lowest threshold at which the true rate of acceptance may be `rate`.

    The true rate at the r-th highest of n independent scores has the distribution
    Beta(r, n - r + 1); n is the number that would have the variance of the share accepted.
    Above the highest score the tail is taken to fall off exponentially.

    Args:
        highest: `(N,)`, scores that should be rejected, descending, all or the highest of them.
        count: all of them.
        rate: share that is accepted.
        false: spread of that share.
    """
    worth = false.worth
    ranks = (_rank(rate, count / worth, tail) * worth for tail in (0.975, 0.025))
    high, low = (_at_rank(highest, rank) for rank in ranks)
    return high, low


def joined(value: float, here: Interval, others: Sequence[float]) -> Interval:
    """Join the interval at one threshold with the rates at the highest and the lowest one."""
    low = value - math.hypot(value - here[0], min(others[0] - value, 0.0))
    high = value + math.hypot(here[1] - value, max(others[1] - value, 0.0))
    return max(low, 0.0), min(high, 1.0)


def seen_nowhere(value: float, independent: int, what: str, confidence: float = 0.95) -> Bounded:
    """Return the interval of a rate of 0 or of 1: the other side has an exact bound."""
    bound = none_seen(independent, confidence)
    interval = (0.0, bound) if value == 0 else (1 - bound, 1.0)
    return Bounded(
        value,
        interval,
        f"not one error is seen; the bound is the exact one-sided one of {independent:,} {what}, "
        f"{100 * confidence:g} %",
    )


def _estimated(
    value: float,
    spread: ClusteredSpread,
    pairs: PairScores,
    interval: Callable[[float, ClusteredSpread, float], Interval],
    confidence: float = 0.95,
) -> Bounded:
    known = len(pairs.identities) > 0
    people = members(pairs).count
    if known and (few := too_few(people)):
        return Bounded(value, None, few)
    if not 0 < value < 1:
        fewest = min(people, int(np.sum(pairs.same)), int(np.sum(~pairs.same)))
        return seen_nowhere(value, fewest, "people" if known else "pairs", confidence)
    return Bounded(value, interval(value, spread, confidence))


def _by_kind(values: Reals, same: Booleans) -> Reals:
    """Return each over the count of its kind, so that sums are means."""
    return np.asarray(values / np.where(same, np.sum(same), np.sum(~same)))


def _share_below(ordered: Floats, scores: Floats) -> Reals:
    """Share of ascending scores below each of others, a tie counting half."""
    ends = (np.searchsorted(ordered, scores, side) for side in ("left", "right"))
    return np.asarray(sum(ends) / (2 * len(ordered)))


def _rank(rate: float, count: float, tail: float) -> float:
    """Return the rank r at which Beta(r, count - r + 1) is below `rate` with the chance `tail`."""
    low, high = 0.0, count
    for _ in range(60):
        middle = (low + high) / 2
        below = float(betainc(middle, count - middle + 1, rate))
        low, high = (middle, high) if below > tail else (low, middle)
    return high


def _at_rank(highest: Reals, rank: float) -> float:
    if rank >= 1:
        return float(np.interp(rank, np.arange(1, len(highest) + 1), highest))
    number = min(_TAIL_SCORES, len(highest) - 1)
    fall = float(np.mean(highest[:number] - highest[number])) if number else 0.0
    return float(highest[0]) - fall * math.log(max(rank, 1e-3))
