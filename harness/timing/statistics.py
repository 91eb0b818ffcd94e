"""Order statistics of raw samples. No distribution is assumed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# LoadGen of MLPerf Inference: fewer samples than this do not support the
# percentile at 99 % confidence.
MINIMUM_SAMPLES = {0.5: 1, 0.9: 64, 0.99: 662}


def median_interval(samples: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Distribution-free interval of the median, from two order statistics.

    The count of samples below the true median is Binomial(n, 1/2); the
    interval is the narrowest symmetric pair of order statistics that covers
    it with at least `confidence` (David and Nagaraja, Order Statistics, 7.1).

    Returns:
        Lower and upper bound, in the samples' unit. With fewer than six
        samples no pair reaches 95 %, and the whole range is returned.
    """
    ordered = sorted(samples)
    n = len(ordered)
    rank = max(_binomial_quantile((1.0 - confidence) / 2.0, n), 1)
    return ordered[rank - 1], ordered[n - rank]


def quantile(samples: Sequence[float], q: float) -> float | None:
    """The `q` quantile (0 to 1), or None where there are too few samples for it.

    The minimum counts are `MINIMUM_SAMPLES`; a quantile that is not listed
    there needs the count of the next higher one that is.
    """
    needed = min((n for level, n in MINIMUM_SAMPLES.items() if level >= q), default=None)
    if needed is None or len(samples) < needed:
        return None
    return float(np.quantile(samples, q))


def _binomial_quantile(q: float, n: int) -> int:
    """Smallest k with P(Binomial(n, 1/2) <= k) >= q, in whole numbers: exact for any n."""
    numerator, denominator = q.as_integer_ratio()
    needed = -(-numerator * 2**n // denominator)
    k, outcomes = 0, 1
    total = outcomes
    while total < needed:
        outcomes = outcomes * (n - k) // (k + 1)
        k += 1
        total += outcomes
    return k
