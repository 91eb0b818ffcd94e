"""Computes the TAR at small FARs from the scores of millions of pairs, with intervals over people.

Thresholds and intervals are those of `metrics.tar_at_far` and `intervals.tar`; nothing here
holds more of a pair than its score and who is in it. This module needs neither torch nor TVM.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facebench.architectures.errors import BadInputError, RefusedError
from facebench.harness.records.accuracy import Bounded, OperatingPoint
from facebench.harness.stats.arrays import Booleans, FloatArray, IntArray, Reals
from facebench.harness.stats.clustered import rate_interval, too_few
from facebench.harness.stats.clustered_rates import PairCounts
from facebench.harness.verification.counts import allowed
from facebench.harness.verification.faces import TemplateSet
from facebench.harness.verification.intervals import joined, seen_nowhere, threshold_interval
from facebench.harness.verification.metrics import between, check_far

# At which IJB-B and IJB-C are scored.
FARS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)


@dataclass(frozen=True)
class TemplateRates:
    """They are TARs at the FARs that the impostor pairs support.

    Attributes:
        tar: thresholds and counts.
        bounds: each with its interval; people and the threshold are chance.
        refused: a sentence for each FAR that is not supported.
        people: that are in the pairs.
    """

    tar: tuple[OperatingPoint, ...]
    bounds: tuple[Bounded, ...]
    refused: tuple[str, ...]
    people: int


def rates(scores: FloatArray, faces: TemplateSet, fars: Sequence[float] = FARS) -> TemplateRates:
    """Return the TAR at each FAR.

    Args:
        scores: `(P,)`, finite; one a pair.
        faces: the pairs.
        fars: rates, 0 to 1.

    Raises:
        BadInputError: a score is not finite, or there are no pairs of one kind.
    """
    ordered = _Ordered(scores, faces)
    points, bounds, refused = [], [], []
    for far in fars:
        try:
            points.append(ordered.point(far))
        except RefusedError as error:
            refused.append(str(error))
        else:
            bounds.append(ordered.bounded(points[-1]))
    return TemplateRates(tuple(points), tuple(bounds), tuple(refused), ordered.people)


class _Ordered:
    """It holds the scores of both kinds in order, and who is in the pairs."""

    def __init__(self, scores: FloatArray, faces: TemplateSet) -> None:
        if not np.all(np.isfinite(scores)):
            raise BadInputError(
                f"{np.sum(~np.isfinite(scores)):,} of {len(scores):,} scores are not finite: mend "
                "the network that scored them"
            )
        seen = np.zeros(len(faces.people), np.bool_)
        seen[faces.first] = seen[faces.second] = True
        self.people = len(np.unique(faces.people[seen]))
        self._genuine, self._genuine_counts = _kind(scores, faces, faces.same)
        self._impostor, self._impostor_counts = _kind(scores, faces, ~faces.same)
        if not len(self._genuine) or not len(self._impostor):
            raise BadInputError(
                f"{faces.name} has {len(self._genuine):,} genuine and {len(self._impostor):,} "
                "impostor pairs: at least one of each is needed"
            )
        self._ascending = np.sort(self._genuine)
        self._descending = np.sort(self._impostor)[::-1]

    def point(self, far: float) -> OperatingPoint:
        """Return the TAR at the smallest threshold that accepts at most `far` of the impostors."""
        check_far(far, len(self._impostor))
        rejected = self._descending[int(allowed(far, np.asarray(len(self._impostor))))]
        threshold = between(*self._around(rejected))
        accepted = len(_passing(self._genuine, threshold))
        return OperatingPoint(far, threshold, accepted, len(self._genuine))

    def bounded(self, point: OperatingPoint) -> Bounded:
        """Return a TAR with its interval, as `intervals.tar` does."""
        value = point.true_rate
        if few := too_few(self.people):
            return Bounded(value, None, few)
        if not 0 < value < 1:
            fewest = min(self.people, len(self._genuine), len(self._impostor))
            here = seen_nowhere(value, fewest, "people")
        else:
            spread = self._genuine_counts.spread(_passing(self._genuine, point.threshold))
            here = Bounded(value, rate_interval(value, spread))
        assert here.interval is not None
        false = self._impostor_counts.spread(_passing(self._impostor, point.threshold))
        limits = threshold_interval(self._highest, len(self._impostor), point.rate, false)
        others = [self._share_above(limit) for limit in limits]
        return Bounded(value, joined(value, here.interval, others), here.note)

    @property
    def _highest(self) -> Reals:
        return self._descending.astype(np.float64)

    def _around(self, rejected: np.float32) -> tuple[FloatArray, int]:
        """Return the highest score that must not pass and the next one, and where to part them."""
        higher = len(self._impostor) - np.searchsorted(self._descending[::-1], rejected, "right")
        place = np.searchsorted(self._ascending, rejected, "right")
        above = [
            *self._descending[max(higher - 1, 0) : higher],
            *self._ascending[place : place + 1],
        ]
        return np.array([rejected, *sorted(above)[:1]], np.float32), 1

    def _share_above(self, threshold: float) -> float:
        return 1 - float(np.searchsorted(self._ascending, threshold)) / len(self._ascending)


def _kind(
    scores: FloatArray, faces: TemplateSet, chosen: Booleans
) -> tuple[FloatArray, PairCounts]:
    """Return the scores of pairs of one kind, and who is in these."""
    first, second = (faces.people[rows[chosen]] for rows in (faces.first, faces.second))
    return scores[chosen], PairCounts(first, second, len(faces.people))


def _passing(scores: FloatArray, threshold: float) -> IntArray:
    # A threshold is a number of the scores' own type.
    return np.flatnonzero(scores >= np.float32(threshold))
