"""Runs the 10-fold protocol on scores: thresholds, decisions, and what choosing them costs.

This module needs neither torch nor TVM.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from facebench.architectures.errors import BadInputError
from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.comparable import Decisions
from facebench.harness.stats.arrays import Booleans, Floats
from facebench.harness.verification.metrics import between


def decided(score: Accuracy) -> Decisions | None:
    """Return what a record's scores were decided to be; None where it holds none."""
    if (pairs := score.scores) is None:
        return None
    right = decisions(pairs.scores, pairs.folds, score.fold_thresholds) == pairs.same
    exact = pairs.scores.astype(np.float64)
    at_best = (exact >= best_threshold(exact, pairs.same)) == pairs.same
    _, fold, sizes = np.unique(pairs.folds, return_inverse=True, return_counts=True)
    lost = np.bincount(fold, at_best.astype(np.float64) - right) / sizes
    return Decisions(np.asarray(right), np.asarray(lost))


def choice_variance(lost: npt.ArrayLike) -> float:
    """Return the variance that choosing thresholds adds to an accuracy, or to a difference of two.

    What a choice costs varies from fold to fold, and goes with the accuracy itself, so that
    its variance counts twice: half of that is what they have in common.

    Args:
        lost: `(F,)`, as in `Decisions`, or the difference of two.
    """
    shares = np.asarray(lost, np.float64)
    return 2 * float(np.var(shares, ddof=1)) / len(shares) if len(shares) > 1 else 0.0


def cross_validate(
    scores: Floats, same: Booleans, folds: npt.NDArray[np.int_]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the accuracy on each fold at the threshold that is best on all others.

    Source: G. B. Huang et al., Technical Report 07-49, University of
    Massachusetts, 2007, section on View 2: performance is the mean over ten folds,
    each scored with parameters set on the other nine alone.

    Args:
        scores: `(P,)`; higher means more alike.
        same: `(P,)`; whether the pair is genuine.
        folds: `(P,)`; the fold of each pair.

    Returns:
        Accuracies, 0 to 1, and thresholds, fold by fold in ascending order.

    Raises:
        BadInputError: there are fewer than two folds, or all pairs are of one kind.

    Example:
        >>> scores, same = np.array([0.8, 0.2, 0.75, 0.25]), np.array([True, False, True, False])
        >>> cross_validate(scores, same, np.array([0, 0, 1, 1]))
        ((1.0, 1.0), (0.5, 0.5))
    """
    names = np.unique(folds)
    if len(names) < 2:
        raise BadInputError(
            f"pairs in {len(names)} fold can't be cross-validated: at least two folds are needed"
        )
    if np.all(same) or not np.any(same):
        raise BadInputError(
            f"{np.sum(same)} genuine and {np.sum(~same)} impostor pairs have no accuracy: at least "
            "one of each is needed"
        )
    accuracies, thresholds = [], []
    for name in names:
        held_out = folds == name
        threshold = best_threshold(scores[~held_out], same[~held_out])
        decisions = scores[held_out] >= threshold
        accuracies.append(float(np.mean(decisions == same[held_out])))
        thresholds.append(threshold)
    return tuple(accuracies), tuple(thresholds)


def best_threshold(scores: Floats, same: Booleans) -> float:
    """Return the threshold with the most right decisions; `score >= threshold` means same.

    Exact: each distinct set of decisions is looked at, not a grid. A threshold
    lies midway between two neighbouring scores, so that it favours neither. Of
    thresholds that are equally good the middle one is taken (the lower of two).

    Args:
        scores: `(P,)`, finite.
        same: `(P,)`; whether the pair is genuine.

    Example:
        >>> best_threshold(np.array([0.1, 0.4, 0.6, 0.9]), np.array([False, False, True, True]))
        0.5
    """
    values, group = np.unique(scores, return_inverse=True)
    genuine = np.bincount(group, weights=same, minlength=len(values))
    impostor = np.bincount(group, weights=~same, minlength=len(values))
    # Element i: right decisions when the i lowest distinct scores mean different.
    rejected = np.concatenate([[0.0], np.cumsum(impostor)])
    accepted = np.concatenate([[0.0], np.cumsum(genuine[::-1])])[::-1]
    right = rejected + accepted
    best = np.flatnonzero(right == right.max())
    chosen = int(best[(len(best) - 1) // 2])
    return between(values, chosen)


def decisions(
    scores: Floats, folds: npt.NDArray[np.integer], thresholds: Sequence[float]
) -> Booleans:
    """Say for each pair whether its fold's threshold calls it the same, `(P,)`.

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
