"""Compares networks trained from several seeds: what seeds and faces make of a difference."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from facebench.architectures.errors import RefusedError
from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.record import Record
from facebench.harness.stats.clustered import ClusteredSpread, centred, none_seen, too_few
from facebench.harness.stats.procedures import procedure
from facebench.harness.verification.folds import choice_variance, decided
from facebench.harness.verification.intervals import members


@dataclass(frozen=True)
class SeedSpread:
    """It says how far networks lie apart that differ in their seed alone.

    Attributes:
        deviation: standard deviation, in percentage points, pooled over networks.
        freedom: how many seeds beyond the first of each network it comes of.
    """

    deviation: float
    freedom: int

    def reach(self, ours: int, theirs: int, confidence: float = 0.95) -> float:
        """Return half of the interval of a difference of two means over so many seeds."""
        factor = float(stdtrit(self.freedom, (1 + confidence) / 2))
        return factor * self.deviation * math.sqrt(1 / ours + 1 / theirs)

    def __str__(self) -> str:
        return (
            f"a standard deviation of {self.deviation:.2f} points from seed to seed, with "
            f"{self.freedom} degrees of freedom"
        )


@dataclass(frozen=True)
class FaceSpread:
    """It says how far a difference of accuracies lies from its truth, people being chance.

    Attributes:
        spread: of the difference, 0 to 1.
        people: in the pairs.
    """

    spread: ClusteredSpread
    people: int

    def reach(self, confidence: float = 0.95) -> float:
        """Return half of the interval of the difference, in percentage points."""
        if not self.spread.carriers:
            return 100 * none_seen(self.people, confidence)
        return 100 * self.spread.student(confidence=confidence) * self.spread.deviation


@procedure("seeds")
def seed_spread(alike: Iterable[Record]) -> SeedSpread | None:
    """Return how far seeds of networks trained alike differ; None where each has one seed."""
    networks: dict[str, dict[object, float]] = {}
    for record in alike:
        for score in scores_of([record]):
            networks.setdefault(record.case.network, {})[seed(record)] = 100 * score.accuracy
    groups = [list(one.values()) for one in networks.values() if len(one) > 1]
    freedom = sum(len(one) - 1 for one in groups)
    if not freedom:
        return None
    squares = sum(float(np.sum((np.array(one) - np.mean(one)) ** 2)) for one in groups)
    return SeedSpread(math.sqrt(squares / freedom), freedom)


def over_faces(ours: Sequence[Record], theirs: Sequence[Record]) -> FaceSpread:
    """Return how far the mean difference varies over people.

    Raises:
        RefusedError: the scores are not of the same pairs, or not kept, or there are too few
            people.
    """
    scores = [*scores_of(ours), *scores_of(theirs)]
    found = [one for score in scores if (one := decided(score))]
    pairs = [score.scores for score in scores if score.scores]
    if len(found) < len(scores) or len({one.digest for one in pairs}) > 1:
        raise RefusedError(
            "the seeds' scores are not of the same pairs, or not kept: score all anew"
        )
    weights = np.repeat([1 / len(ours), -1 / len(theirs)], [len(ours), len(theirs)])
    people = members(pairs[0])
    if pairs[0].over != "pairs" and (few := too_few(people.count)):
        raise RefusedError(few)
    gain = weights @ np.array([one.right for one in found], np.float64)
    spread = people.spread(centred(gain, pairs[0].same) / len(gain)).wider(
        choice_variance(weights @ np.array([one.lost for one in found]))
    )
    return FaceSpread(spread, people.count)


def scores_of(records: Sequence[Record]) -> list[Accuracy]:
    """Return the accuracies among records."""
    return [record.result for record in records if isinstance(record.result, Accuracy)]


def seed(record: Record) -> object:
    """Return what a network was trained from; None where that is not known."""
    training = record.provenance.get("training")
    return training.get("seed") if isinstance(training, dict) else None
