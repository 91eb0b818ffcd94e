"""Did the samples of a case grow or shrink while they were taken?"""

from __future__ import annotations

import math
import statistics
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

# Below this the normal approximation of the test is not to be trusted
# (Kendall, Rank Correlation Methods, 4.5).
_MINIMUM_SAMPLES = 10

_LEVEL = 0.01
_LEAST_CHANGE = 0.02


@dataclass(frozen=True)
class Drift:
    """A trend in samples.

    Attributes:
        p_value: how often independent samples with no trend look at least this ordered.
        relative_change: from the first tenth of the samples to the last, by their
            medians; 0.05 is 5 % more.
    """

    p_value: float
    relative_change: float

    @property
    def significant(self) -> bool:
        """Whether the drift is both beyond chance (p < 0.01) and beyond 2 %.

        The test takes samples for independent. Successive times of a machine
        are not: what slows one inference slows the next, and then chance alone
        looks like a trend far more often than one time in a hundred. With
        thousands of samples, moreover, a trend of no consequence is found. So a
        drift must also be large enough to matter.
        """
        return self.p_value < _LEVEL and abs(self.relative_change) > _LEAST_CHANGE


def drift(samples: Sequence[float]) -> Drift:
    """Test samples, in the order in which they were taken, for a trend.

    The Mann-Kendall test (Mann 1945; Kendall 1955) with the normal
    approximation, corrected for ties; two-sided, without continuity
    correction. Fewer than ten samples, or equal ones, support no trend: p is 1.

    Raises:
        ValueError: there are no samples, or one is not positive and finite.
    """
    if not samples or not all(0 < sample < math.inf for sample in samples):
        raise ValueError("a drift needs samples that are positive and finite")
    return Drift(_p_value(samples), _relative_change(samples))


def _p_value(samples: Sequence[float]) -> float:
    n = len(samples)
    ties = sum(_spread(count) for count in Counter(samples).values())
    variance = (_spread(n) - ties) / 18
    if n < _MINIMUM_SAMPLES or variance == 0:
        return 1.0
    return math.erfc(abs(_score(samples)) / math.sqrt(2 * variance))


def _spread(n: int) -> int:
    return n * (n - 1) * (2 * n + 5)


def _score(samples: Sequence[float]) -> int:
    """Pairs in which the later sample is greater, less those in which it is smaller."""
    score = 0
    earlier: list[float] = []
    for sample in samples:
        smaller = bisect_left(earlier, sample)
        greater = len(earlier) - bisect_right(earlier, sample)
        score += smaller - greater
        insort(earlier, sample)
    return score


def _relative_change(samples: Sequence[float]) -> float:
    tenth = max(len(samples) // 10, 1)
    return statistics.median(samples[-tenth:]) / statistics.median(samples[:tenth]) - 1
