"""Measures how well scores tell genuine from impostor pairs, at one threshold and at all.

`score >= threshold` means accepted. The false acceptance rate (FAR) is the share
of impostor pairs that are accepted, the true acceptance rate (TAR) that of
genuine pairs, and the false rejection rate (FRR) is 1 - TAR. Every figure is
empirical: no distribution is fitted to the scores.

This module needs neither torch nor TVM.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Context, Decimal

import numpy as np

from facebench.architectures.errors import BadInputError, RefusedError
from facebench.harness.records.accuracy import OperatingPoint
from facebench.harness.stats.arrays import Booleans, Floats, IntArray, Reals
from facebench.harness.verification.counts import (
    ROUNDING,
    allowed,
    equal_error,
    last_within,
    mann_whitney,
)

_RULE_OF_THREE = 3


# Comparing two of these with == would compare arrays.
@dataclass(frozen=True, eq=False)
class Roc:
    """It counts pairs accepted at each threshold that makes a difference, the highest first.

    The first threshold is infinite and accepts nothing; the last is the lowest
    score and accepts everything: from (0, 0) to (1, 1).

    Attributes:
        thresholds: `(T,)`, descending, of the scores' type.
        impostors: `(T,)`; impostor pairs that each accepts.
        genuine: `(T,)`; genuine pairs that each accepts.
    """

    thresholds: Floats
    impostors: IntArray
    genuine: IntArray

    @property
    def far(self) -> Reals:
        """Return the false accept rates `(T,)`, ascending, 0 to 1."""
        return np.asarray(self.impostors / self.impostors[-1])

    @property
    def tar(self) -> Reals:
        """Return the true accept rates `(T,)`, ascending, 0 to 1."""
        return np.asarray(self.genuine / self.genuine[-1])


@dataclass(frozen=True, eq=False)
class Det:
    """It is the detection error trade-off: both error rates in normal deviates, to be plotted.

    Attributes:
        far: `(D,)`, ascending.
        frr: `(D,)`, descending.
    """

    far: Reals
    frr: Reals


@dataclass(frozen=True, eq=False)
class Histogram:
    """It counts genuine and impostor pairs over the same B bins.

    Attributes:
        edges: `(B + 1,)`; each bin holds its lower edge, the last one also its upper.
        genuine: `(B,)`.
        impostor: `(B,)`.
    """

    edges: Reals
    genuine: IntArray
    impostor: IntArray


def smallest_far(impostors: int) -> float:
    """Return the smallest FAR that a count of impostor pairs supports, by the rule of three.

    Where none of n is accepted, the 95 % upper bound of the rate is about 3/n: a
    smaller rate can't be told from zero.

    Source: J. A. Hanley, A. Lippman-Hand, "If nothing goes wrong, is everything
    all right?", JAMA 249(13), 1983.

    Example:
        >>> smallest_far(3000)
        0.001
    """
    return _RULE_OF_THREE / impostors


def tar_at_far(scores: Floats, same: Booleans, far: float) -> OperatingPoint:
    """Return the TAR at the smallest threshold that accepts at most `far` of the impostors.

    The threshold lies midway between the two scores that it parts, or just above
    the highest. It is a number of the scores' own type, so that comparing in
    single and in double precision gives the same decisions.

    Args:
        scores: `(P,)`, finite.
        same: `(P,)`; whether the pair is genuine.
        far: between 0 and 1.

    Raises:
        BadInputError: `far` is no rate, or there are no pairs of one kind.
        RefusedError: there are too few impostor pairs for `far`.

    Example:
        >>> scores, same = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.9]), np.arange(6) > 3
        >>> tar_at_far(scores, same, 0.75)
        OperatingPoint(rate=0.75, threshold=0.15000000000000002, accepted=2, trials=2)
    """
    curve = roc(scores, same)
    check_far(far, int(curve.impostors[-1]))
    last = int(last_within(curve.impostors, far))
    values = curve.thresholds[:0:-1]
    return OperatingPoint(
        rate=far,
        threshold=between(values, len(values) - last),
        accepted=int(curve.genuine[last]),
        trials=int(curve.genuine[-1]),
    )


def check_far(far: float, impostors: int) -> None:
    """Refuse a rate that this count of impostor pairs doesn't support.

    Raises:
        BadInputError: `far` isn't between 0 and 1.
        RefusedError: `far` is below `smallest_far`.
    """
    if not 0 < far < 1:
        raise BadInputError(f"{far} is no FAR to set a threshold by: give one between 0 and 1")
    if int(allowed(far, np.asarray(impostors))) >= _RULE_OF_THREE:
        return
    # Rounded up, so that what the message names is not refused in its turn.
    upward = Context(prec=3, rounding=ROUND_CEILING)
    smallest = min(1.0, float(upward.divide(Decimal(_RULE_OF_THREE), Decimal(impostors))))
    needed = int(np.ceil(_RULE_OF_THREE / far * (1 - ROUNDING)))
    raise RefusedError(
        f"a FAR of {far:g} isn't supported by {impostors} impostor pairs: the smallest that they "
        f"support is {smallest:g}, and {far:g} needs {needed} of them"
    )


def roc(scores: Floats, same: Booleans) -> Roc:
    """Return the receiver operating characteristic: one point for each distinct score, and (0, 0).

    Args:
        scores: `(P,)`, finite.
        same: `(P,)`; whether the pair is genuine.

    Raises:
        BadInputError: there are no pairs of one kind, or the arrays are no scores and labels.

    Example:
        >>> curve = roc(np.array([0.1, 0.9, 0.9]), np.array([False, False, True]))
        >>> curve.thresholds, curve.far, curve.tar
        (array([inf, 0.9, 0.1]), array([0. , 0.5, 1. ]), array([0., 1., 1.]))
    """
    scores, same = checked(scores, same)
    values, group = np.unique(scores, return_inverse=True)
    thresholds = np.append(values, values.dtype.type(np.inf))[::-1]
    genuine, impostors = (
        np.cumsum(np.append(np.bincount(group[kind], minlength=len(values)), 0)[::-1])
        for kind in (same, ~same)
    )
    return Roc(thresholds, impostors, genuine)


def auc(scores: Floats, same: Booleans) -> float:
    """Return the probability, 0 to 1, that a genuine pair scores higher than an impostor pair.

    Equality counts half. Scores and labels are `(P,)`; they and the errors are those of `roc`.

    Example:
        >>> auc(np.array([0.1, 0.5, 0.5, 0.9]), np.array([False, False, True, True]))
        0.875
    """
    curve = roc(scores, same)
    return float(mann_whitney(curve.impostors, curve.genuine))


def eer(scores: Floats, same: Booleans) -> float:
    """Return the equal error rate, 0 to 1: where the ROC crosses the line FAR = FRR.

    No threshold need make both rates equal. The points of `roc` are joined by
    straight lines, and the crossing is unique: at each point further on FAR
    rises or FRR falls. Scores and labels are `(P,)`; they and the errors are those of `roc`.

    Example:
        >>> eer(np.array([0.1, 0.5, 0.5, 0.9]), np.array([False, False, True, True]))
        0.25
    """
    curve = roc(scores, same)
    return float(equal_error(curve.impostors, curve.genuine))


def det(scores: Floats, same: Booleans) -> Det:
    """Return the points of `roc` at which neither FAR nor FRR is 0 or 1.

    There are none where the scores are separable. Two normal distributions give a straight
    line. Scores and labels are `(P,)`; they and the errors are those of `roc`.

    Source: A. Martin et al., "The DET curve in assessment of detection task
    performance", Eurospeech 1997.
    """
    from scipy.special import ndtri  # not for all who read metrics: it takes a while

    curve = roc(scores, same)
    far, frr = curve.far, 1 - curve.tar
    finite = (far > 0) & (far < 1) & (frr > 0) & (frr < 1)
    return Det(ndtri(far[finite]), ndtri(frr[finite]))


def d_prime(scores: Floats, same: Booleans) -> float:
    """Return how many standard deviations genuine pairs score above impostor pairs, on average.

    The deviation is the root of the mean of both variances (ddof=1). Scores and labels
    are `(P,)`, those of `roc`.

    Source: J. Daugman, "Biometric decision landscapes", University of Cambridge
    technical report 482, 2000.

    Raises:
        BadInputError: as `roc`, or the deviation is unknown or zero.
    """
    scores, same = checked(scores, same)
    kinds = [np.asarray(scores[kind], np.float64) for kind in (same, ~same)]
    if min(map(len, kinds)) < 2 or not any(np.ptp(kind) for kind in kinds):
        raise BadInputError(
            f"d' of {len(kinds[0])} genuine and {len(kinds[1])} impostor pairs is undefined: at "
            "least two of each are needed, with scores that differ"
        )
    deviation = np.sqrt(np.mean([np.var(kind, ddof=1) for kind in kinds]))
    return float((np.mean(kinds[0]) - np.mean(kinds[1])) / deviation)


def histogram(scores: Floats, same: Booleans, bins: int) -> Histogram:
    """Count scores of both kinds in `bins` bins of equal width, from the lowest to the highest.

    Scores and labels are `(P,)`, those of `roc`.

    Raises:
        BadInputError: as `roc`, or there are no bins.
    """
    scores, same = checked(scores, same)
    if bins < 1:
        raise BadInputError(f"a histogram can't have {bins} bins: give at least 1")
    wide = np.asarray(scores, np.float64)
    edges = np.histogram_bin_edges(wide, bins)
    genuine, impostor = (np.histogram(wide[kind], edges)[0] for kind in (same, ~same))
    return Histogram(edges, genuine, impostor)


def checked(scores: Floats, same: Booleans) -> tuple[Floats, Booleans]:
    """Return scores and labels as arrays `(P,)`, once they are known to fit each other.

    Raises:
        BadInputError: a score is not finite, the lengths differ, or one kind of pair is missing.
    """
    scores, same = np.asarray(scores), np.asarray(same, np.bool_)
    if not np.issubdtype(scores.dtype, np.floating):
        scores = scores.astype(np.float64)
    if scores.ndim != 1 or scores.shape != same.shape:
        raise BadInputError(
            f"scores of shape {scores.shape} and labels of shape {same.shape} don't belong "
            "together: give one of each a pair"
        )
    if not np.all(np.isfinite(scores)):
        raise BadInputError(
            f"{np.sum(~np.isfinite(scores))} of {len(scores)} scores are not finite: leave these "
            "pairs out, or mend the network that scored them"
        )
    if np.all(same) or not np.any(same):
        raise BadInputError(
            f"{np.sum(same)} genuine and {np.sum(~same)} impostor pairs have no error rates: at "
            "least one of each is needed"
        )
    return scores, same


def between(values: Floats, index: int) -> float:
    """Return a number above the `index` lowest of ascending values `(N,)`, not above the rest."""
    if index == 0:
        return float(values[0])
    if index == len(values):
        return float(np.nextafter(values[-1], np.inf))
    below, above = values[index - 1], values[index]
    middle = below + (above - below) / 2
    # Between neighbouring floating-point numbers there is none.
    return float(middle if middle > below else above)
