"""Says how well a network tells the people of each group: accuracy by group, and the widest gap.

A group's accuracy is that of the 10-fold protocol on its pairs alone, each group with thresholds
of its own (M. Wang et al., "Racial Faces in the Wild", ICCV 2019). A product has one threshold for
all: FAR and FRR of each group are given at the one that all pairs together set (J. Robinson et
al., "Face Recognition: Too Bias, or Not Too Bias?", CVPRW 2020). This module needs neither torch
nor TVM.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from facebench.architectures.errors import BadInputError, RefusedError
from facebench.harness.records.accuracy import Accuracy, Bounded, OperatingPoint
from facebench.harness.stats.procedures import procedure
from facebench.harness.verification import intervals
from facebench.harness.verification.folds import cross_validate
from facebench.harness.verification.intervals import FixedRates, rates_at
from facebench.harness.verification.metrics import tar_at_far

# The common threshold is that of the first of these that all impostor pairs support.
COMMON_FARS = (1e-3, 1e-2, 1e-1)


@dataclass(frozen=True)
class GroupRates:
    """They are the figures of one group.

    Attributes:
        name: of the group.
        pairs: of it.
        accuracy: by the 10-fold protocol, with thresholds of its own.
        common: FAR and FRR at the threshold that all groups share.
    """

    name: str
    pairs: int
    accuracy: Bounded
    common: FixedRates


@dataclass(frozen=True)
class Gap:
    """It says how much more accurate the best group is than the worst.

    Attributes:
        best: name of the group with the highest accuracy.
        worst: name of that with the lowest.
        difference: of the two accuracies, 0 to 1; None is its interval where one is refused.
    """

    best: str
    worst: str
    difference: Bounded


@dataclass(frozen=True)
class ByGroup:
    """It holds the figures of all groups.

    Attributes:
        groups: in the dataset's order.
        gap: between the best and the worst.
        common: where the common threshold lies, and the rates there over all pairs.
    """

    groups: tuple[GroupRates, ...]
    gap: Gap
    common: OperatingPoint


def by_group(score: Accuracy) -> ByGroup | None:
    """Return the figures of each group; None where the pairs have none, or only one.

    Raises:
        BadInputError: the pairs of a group are all of one kind, or in one fold.
        RefusedError: there are too few impostor pairs for a common threshold.
    """
    pairs = score.scores
    if pairs is None or len(pairs.group_names) < 2:
        return None
    parts = {name: of_group(score, name) for name in pairs.group_names}
    common = _common(score)
    groups = []
    for name, part in parts.items():
        assert part.scores is not None
        made = intervals.accuracy(part) or Bounded(part.accuracy, None)
        groups.append(GroupRates(name, part.pairs, made, rates_at(part.scores, common.threshold)))
    return ByGroup(tuple(groups), widest_gap(parts), common)


def of_group(score: Accuracy, name: str) -> Accuracy:
    """Return the accuracy on one group's pairs alone, with thresholds of its own.

    Raises:
        BadInputError: they are all of one kind, or in one fold.
    """
    assert score.scores is not None
    pairs = score.scores.of_group(name)
    genuine = int(np.sum(pairs.same))
    if genuine in (0, len(pairs)):
        raise BadInputError(
            f"{name} has {genuine} genuine and {len(pairs) - genuine} impostor pairs, and a "
            "group's accuracy needs both kinds: copy the list anew"
        )
    accuracies, thresholds = cross_validate(
        pairs.scores.astype(np.float64), pairs.same, pairs.folds
    )
    return replace(
        score,
        fold_accuracies=accuracies,
        fold_thresholds=thresholds,
        pairs=len(pairs),
        scores=pairs,
    )


@procedure("widest gap")
def widest_gap(parts: dict[str, Accuracy]) -> Gap:
    """Return the gap between the best and the worst group, two or more.

    Which two these are is told by the same pairs, so the interval is one of all gaps at once: each
    group's accuracy is bounded with the confidence that Bonferroni's correction for the number of
    gaps asks for, and the bounds of two groups, who share nobody, are joined as roots of sums of
    squares (G. Y. Zou, A. Donner, Statistics in Medicine 27(10), 2008).
    """
    gaps = len(list(combinations(parts, 2)))
    bounds = {
        name: intervals.accuracy(part, 1 - 0.05 / gaps) or Bounded(part.accuracy, None)
        for name, part in parts.items()
    }
    best = max(bounds, key=lambda name: bounds[name].value)
    worst = min(bounds, key=lambda name: bounds[name].value)
    return Gap(best, worst, _difference(bounds[best], bounds[worst]))


def _difference(high: Bounded, low: Bounded) -> Bounded:
    value = high.value - low.value
    if high.interval is None or low.interval is None:
        return Bounded(value, None, high.note or low.note)
    down = math.hypot(high.value - high.interval[0], low.interval[1] - low.value)
    up = math.hypot(high.interval[1] - high.value, low.value - low.interval[0])
    return Bounded(value, (max(value - down, -1.0), min(value + up, 1.0)))


def _common(score: Accuracy, fars: Sequence[float] = COMMON_FARS) -> OperatingPoint:
    assert score.scores is not None
    for far in fars[:-1]:
        try:
            return tar_at_far(score.scores.scores, score.scores.same, far)
        except RefusedError:
            continue
    return tar_at_far(score.scores.scores, score.scores.same, fars[-1])
