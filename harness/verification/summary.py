"""What the scores of a dataset's pairs say beyond accuracy, each figure with its interval.

This module needs neither torch nor TVM.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from facebench.architectures.errors import RefusedError
from facebench.harness.records.accuracy import OperatingPoint
from facebench.harness.records.pair_scores import PairScores
from facebench.harness.verification import metrics
from facebench.harness.verification.resampling import Interval, bootstrap_intervals

# False acceptance rates that are looked at where nobody asks for others.
FARS = (1e-2, 1e-3, 1e-4)


@dataclass(frozen=True)
class Rate:
    """TAR at a FAR with two 95 % intervals.

    Attributes:
        point: threshold and counts.
        wilson: of the share of genuine pairs, were they independent, at this threshold.
        bootstrap: over people (or pairs), the threshold found anew each time; wider,
            because pairs share faces and the threshold is uncertain too.
    """

    point: OperatingPoint
    wilson: Interval
    bootstrap: Interval


@dataclass(frozen=True)
class Summary:
    """Figures of a network on a dataset's pairs.

    Attributes:
        tar: at each FAR that the impostor pairs support.
        refused: why there is none, by FAR, at the others.
        auc: area under the ROC curve, 0 to 1, and its interval.
        eer: equal error rate, 0 to 1, and its interval.
        d_prime: distance of the two means of scores, in standard deviations.
        over: what the bootstrap draws: `identities`, or `pairs` where people are unknown.
    """

    tar: tuple[Rate, ...]
    refused: dict[float, str]
    auc: float
    auc_interval: Interval
    eer: float
    eer_interval: Interval
    d_prime: float
    over: str


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
    intervals = bootstrap_intervals(
        pairs.scores, pairs.same, pairs.identities, [point.rate for point in points]
    )
    return Summary(
        tar=tuple(
            Rate(p, metrics.wilson(p.accepted, p.trials), intervals.tar[p.rate]) for p in points
        ),
        refused=refused,
        auc=metrics.auc(pairs.scores, pairs.same),
        auc_interval=intervals.auc,
        eer=metrics.eer(pairs.scores, pairs.same),
        eer_interval=intervals.eer,
        d_prime=metrics.d_prime(pairs.scores, pairs.same),
        over=intervals.over,
    )
