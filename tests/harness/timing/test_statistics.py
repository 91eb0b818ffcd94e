"""Order statistics, held against scipy's binomial distribution."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from harness.timing.statistics import median_interval, quantile


def coverage(lower: int, upper: int, n: int) -> float:
    """P(X_(lower) <= median <= X_(upper)) of n samples, ranks from 1."""
    return float(binom.cdf(upper - 1, n, 0.5) - binom.cdf(lower - 1, n, 0.5))


@given(st.integers(6, 3000))
def test_the_interval_covers_95_percent_and_no_narrower_pair_does(n: int) -> None:
    lower, upper = median_interval(list(range(1, n + 1)))
    assert lower + upper == n + 1
    assert coverage(int(lower), int(upper), n) >= 0.95
    assert coverage(int(lower) + 1, int(upper) - 1, n) < 0.95


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200))
def test_the_interval_holds_the_median_and_does_not_depend_on_order(samples: list[float]) -> None:
    lower, upper = median_interval(samples)
    assert lower <= np.median(samples) <= upper
    assert median_interval(samples[::-1]) == (lower, upper)


def test_the_interval_covers_the_true_median_of_a_skewed_distribution() -> None:
    rng = np.random.default_rng(7)
    runs = rng.lognormal(size=(2000, 64))
    hits = [lower <= 1.0 <= upper for lower, upper in map(median_interval, runs.tolist())]
    # Exact coverage with 64 samples is 0.967; four standard errors either side.
    assert 0.951 <= np.mean(hits) <= 0.983


@pytest.mark.parametrize(("q", "needed"), [(0.5, 1), (0.9, 64), (0.99, 662)])
def test_a_tail_needs_its_minimum_of_samples(q: float, needed: int) -> None:
    samples = list(np.linspace(1, 2, needed))
    assert quantile(samples, q) == pytest.approx(np.quantile(samples, q))
    assert quantile(samples[1:], q) is None


def test_a_quantile_beyond_the_table_is_refused() -> None:
    assert quantile([1.0] * 10_000, 0.999) is None
