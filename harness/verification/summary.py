"""Says what the scores of a dataset's pairs tell beyond accuracy, each with its interval.

This module needs neither torch nor TVM.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from facebench.architectures.errors import RefusedError
from facebench.harness.records.accuracy import Bounded, OperatingPoint
from facebench.harness.records.pair_scores import PairScores
from facebench.harness.verification import intervals, metrics

# False acceptance rates that are looked at where nobody asks for others.
FARS = (1e-2, 1e-3, 1e-4)


@dataclass(frozen=True)
class Rate:
    """It is a TAR at a FAR.

    Attributes:
        point: threshold and counts.
        tar: with its interval; people and the threshold are chance.
    """

    point: OperatingPoint
    tar: Bounded


@dataclass(frozen=True)
class Summary:
    """It holds the figures of a network on a dataset's pairs.

    Attributes:
        tar: at each FAR that the impostor pairs support.
        refused: why there is none, by FAR, at the others.
        auc: area under the ROC curve.
        eer: equal error rate.
        d_prime: distance of the two means of scores, in standard deviations.
        over: what the intervals take for independent: `identities`, `groups` of images that
            equal images and genuine pairs join, or `pairs` where nobody is known.
        people: how many of these.
    """

    tar: tuple[Rate, ...]
    refused: dict[float, str]
    auc: Bounded
    eer: Bounded
    d_prime: float
    over: str
    people: int


def summarise(pairs: PairScores, fars: Sequence[float] = FARS) -> Summary:
    """Summarise scores.

    Raises:
        BadInputError: there are only genuine or only impostor pairs, or a FAR
            is not between 0 and 1.
    """
    points: list[OperatingPoint] = []
    refused: dict[float, str] = {}
    for far in fars:
        try:
            points.append(metrics.tar_at_far(pairs.scores, pairs.same, far))
        except RefusedError as error:
            refused[far] = str(error)
    return Summary(
        tar=tuple(Rate(point, intervals.tar(pairs, point)) for point in points),
        refused=refused,
        auc=intervals.auc(pairs),
        eer=intervals.eer(pairs),
        d_prime=metrics.d_prime(pairs.scores, pairs.same),
        over=pairs.over,
        people=intervals.members(pairs).count,
    )


def what_is_chance(over: str, people: int) -> str:
    """Say what the intervals take for independent, and what is wrong with that."""
    if over == "identities":
        return f"Intervals are over {people:,} people."
    if over == "groups":
        return (
            f"The dataset names nobody: intervals are over {people:,} groups of images, which "
            "equal images and genuine pairs join. Who is in two groups is not known, so that "
            "they may be somewhat too narrow."
        )
    return (
        "Nobody knows who is in these pairs, and no image is in two: intervals take pairs for "
        "independent, and are too narrow where pairs share people. Columns first_person and "
        "second_person in a list name them."
    )
