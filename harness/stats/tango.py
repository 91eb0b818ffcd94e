"""Tests the difference of two accuracies on the same pairs against a margin.

`facebench.harness.verification.paired` tests whether there is any difference. Here the
question is whether one is larger, or smaller, than what matters.

Source: T. Tango, "Equivalence test and confidence interval for the difference in
proportions for the paired-sample design", Statistics in Medicine 17(8), 1998. Where
not one pair is decided differently its interval still has a width, which a bootstrap's
has not.
"""

from __future__ import annotations

import math

from scipy.special import ndtri

# Standard deviations that a 95 % interval reaches to either side.
NORMAL = float(ndtri(0.975))


def score(only_first: int, only_second: int, pairs: int, difference: float) -> float:
    """Return how many standard deviations the second's lead is above `difference`.

    Args:
        only_first: pairs that the first alone got right.
        only_second: pairs that the second alone got right.
        pairs: all of them.
        difference: of the accuracies, second minus first, inside -1 to 1.

    Example:
        >>> round(score(10, 20, 1000, 0.0), 3)  # McNemar's: 10 / sqrt(30)
        1.826
    """
    # The likeliest share of pairs that the first alone gets right, given the difference:
    # the larger root of a quadratic (Tango's equation 2.4).
    a = 2.0 * pairs
    b = -only_first - only_second + (2 * pairs - only_second + only_first) * difference
    c = -only_first * difference * (1 - difference)
    share = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    variance = pairs * (2 * share + difference * (1 - difference))
    gap = only_second - only_first - pairs * difference
    if variance <= 0:
        return math.copysign(math.inf, gap) if gap else 0.0
    return gap / math.sqrt(variance)


def interval(
    only_first: int, only_second: int, pairs: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Return differences that the pairs do not contradict.

    Example:
        >>> low, high = interval(0, 0, 6000)
        >>> f"{low:.2%} {high:.2%}"
        '-0.06% 0.06%'
    """
    return bounds(only_first, only_second, pairs, float(ndtri((1 + confidence) / 2)))


def bounds(only_first: int, only_second: int, pairs: int, reach: float) -> tuple[float, float]:
    """Return the least and the greatest difference whose `score` is within `reach` of 0."""
    counts = only_first, only_second, pairs
    estimate = (only_second - only_first) / pairs
    low, high = (_crossing(*counts, reach, estimate, end) for end in (-1.0, 1.0))
    return low, high


def _crossing(
    only_first: int, only_second: int, pairs: int, reach: float, inside: float, outside: float
) -> float:
    """Return where the score passes `reach`, between the estimate and the end of the scale."""
    for _ in range(50):
        middle = (inside + outside) / 2
        if abs(score(only_first, only_second, pairs, middle)) < reach:
            inside = middle
        else:
            outside = middle
    return inside
