"""Tests whether the samples of a case grew or shrank while they were taken."""

from __future__ import annotations

import math
import statistics
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from facebench.harness.stats.autocorrelation import effective_size
from facebench.harness.stats.procedures import procedure

# Below this the normal approximation of the test is not to be trusted
# (Kendall, Rank Correlation Methods, 4.5).
_MINIMUM_SAMPLES = 10

# Chance of a trend that is none.
LEVEL = 0.01
_LEAST_CHANGE = 0.01


@dataclass(frozen=True)
class Drift:
    """It is a trend in samples.

    Attributes:
        p_value: how often samples with no trend look at least this ordered.
        relative_change: of the median, from the first half of a process's samples to the
            second; 0.05 is 5 % more.
    """

    p_value: float
    relative_change: float

    def matters(self, width: float) -> bool:
        """Return whether the drift is beyond chance, and what is said of the median depends on it.

        With thousands of samples a trend of no consequence is found too. One that matters
        moves the median by more than the interval that is stated for it, and by more than
        1 %: then a longer or shorter run would have stated another one.

        Args:
            width: of the median's 95 % interval, as a share of the median.
        """
        return self.p_value < LEVEL and abs(self.relative_change) > max(width, _LEAST_CHANGE)


@procedure("drift")
def drift(processes: Sequence[Sequence[float]]) -> Drift:
    """Test the samples of processes, in the order in which they were taken, for a trend in each.

    The Mann-Kendall test (Mann 1945; Kendall 1955) with the normal approximation,
    corrected for ties; two-sided, without continuity correction. Each process is looked
    at by itself and the scores are added, so that what lies between processes is no
    trend (R. M. Hirsch, J. R. Slack, R. A. Smith, Water Resources Research 18(1), 1982,
    for seasons). Successive times are alike, and alike times look ordered: variances are
    raised by as much as the samples are worth fewer independent ones (K. H. Hamed,
    A. R. Rao, Journal of Hydrology 204, 1998). Fewer than ten samples, or equal ones,
    support no trend: p is 1.

    Raises:
        ValueError: there are no samples, or one is not positive and finite.
    """
    flat = [sample for samples in processes for sample in samples]
    if not flat or not all(0 < sample < math.inf for sample in flat):
        raise ValueError("a drift needs samples that are positive and finite")
    changes = [_log_change(samples) for samples in processes if samples]
    return Drift(_p_value(processes), math.expm1(statistics.fmean(changes)))


def _p_value(processes: Sequence[Sequence[float]]) -> float:
    score, variance = 0, 0.0
    for samples in processes:
        if len(samples) >= _MINIMUM_SAMPLES:
            score += _score(samples)
            variance += _variance(samples)
    return math.erfc(abs(score) / math.sqrt(2 * variance)) if variance else 1.0


def _variance(samples: Sequence[float]) -> float:
    n = len(samples)
    ties = sum(_spread(count) for count in Counter(samples).values())
    return (_spread(n) - ties) / 18 * n / effective_size(samples)


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


def _log_change(samples: Sequence[float]) -> float:
    half = max(len(samples) // 2, 1)
    return math.log(statistics.median(samples[-half:]) / statistics.median(samples[:half]))
