"""Order statistics, held against scipy's binomial distribution."""

from fractions import Fraction
from itertools import accumulate
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from facebench.harness.stats import intervals
from facebench.harness.stats.intervals import median_interval, quantile, spread, two_level_interval
from tests.sampling import covering


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


def processes(
    rng: np.random.Generator, count: int, between: float, within: float, samples: int = 64
) -> np.ndarray:
    """Times (count, samples): medians vary by `between`, samples by `within`, with a tail."""
    levels = np.exp(between * rng.standard_normal((count, 1)))
    times = levels * np.exp(within * rng.standard_normal((count, samples)))
    late = rng.random(times.shape) < 0.05
    return np.where(late, times * (1 + rng.exponential(0.2, times.shape)), times)


def covered(count: int, between: float, within: float, runs: int = 1500) -> float:
    """Share of runs of so many processes whose interval holds the median of all processes."""
    rng = np.random.default_rng(round(1e4 * between + 1e6 * within) + count)
    truth = np.median(processes(rng, 20_000, between, within))
    intervals = [two_level_interval(processes(rng, count, between, within)) for _ in range(runs)]
    return float(np.mean([lower <= truth <= upper for lower, upper in intervals]))


@pytest.mark.parametrize(
    ("count", "of"), covering([3, 5, 10], [(0.01, 0.02), (0.01, 0.05), (0.02, 0.05)])
)
def test_the_interval_over_processes_covers_93_to_97_percent(
    count: int, of: tuple[float, float]
) -> None:
    # Two standard errors of 1500 runs are 1.1 %.
    assert 0.93 - 0.011 <= covered(count, *of) <= 0.97 + 0.011


@pytest.mark.parametrize("count", [3, 10])
def test_where_processes_do_not_differ_it_errs_to_the_wide_side(count: int) -> None:
    assert 0.95 <= covered(count, 0.0, 0.05) <= 0.995


@pytest.mark.parametrize(
    ("count", "of"), covering([3, 5], [(0.003, 0.02), (0.01, 0.02), (0.02, 0.05)])
)
def test_ending_when_the_interval_is_narrow_costs_little_coverage(
    count: int, of: tuple[float, float]
) -> None:
    between, within = of
    rng = np.random.default_rng(count)
    truth = np.median(processes(rng, 20_000, between, within))
    hits = []
    for _ in range(600):
        times = processes(rng, 2 * count, between, within)
        ends = range(count, 2 * count + 1)
        intervals = (two_level_interval(times[:end]) for end in ends)
        narrow = (i for i in intervals if i[1] - i[0] <= 0.02)
        lower, upper = next(narrow, two_level_interval(times))
        hits.append(lower <= truth <= upper)
    # Two standard errors of 600 runs are 1.8 %.
    assert 0.92 - 0.018 <= np.mean(hits) <= 0.99


def test_an_interval_that_takes_samples_for_the_unit_does_not_cover() -> None:
    rng = np.random.default_rng(0)
    runs = [processes(rng, 5, 0.02, 0.02) for _ in range(500)]
    hits = [low <= 1.0 <= high for low, high in (median_interval(r.ravel().tolist()) for r in runs)]
    assert np.mean(hits) < 0.5


@given(st.lists(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=30), min_size=2, max_size=8))
def test_the_interval_over_processes_holds_the_median_and_moves_with_the_unit(
    groups: list[list[float]],
) -> None:
    lower, upper = two_level_interval(groups)
    assert lower <= np.median(np.concatenate(groups)) <= upper
    microseconds = two_level_interval([[1e3 * sample for sample in group] for group in groups])
    assert microseconds == pytest.approx((1e3 * lower, 1e3 * upper))


def test_a_few_medians_that_agree_by_chance_do_not_make_it_narrow() -> None:
    rng = np.random.default_rng(1)
    groups = [g / np.median(g) for g in processes(rng, 3, 0.0, 0.05)]
    lower, upper = two_level_interval(groups)
    assert upper - lower > 0.01


def test_what_samples_explain_is_told_from_what_processes_add() -> None:
    rng = np.random.default_rng(2)
    assert not spread(processes(rng, 8, 0.0, 0.03).tolist()).beyond_samples
    found = spread(processes(rng, 8, 0.03, 0.03).tolist())
    assert found.beyond_samples
    assert found.between == pytest.approx(0.03, rel=0.6)
    # sqrt(pi / 2) s / sqrt(n): the standard error of a normal distribution's median.
    assert found.within == pytest.approx(np.sqrt(np.pi / 2) * 0.03 / 8, rel=0.35)


def test_the_quantile_of_a_fair_binomial_is_exact() -> None:
    """Against sums of whole numbers, which no rounding touches."""
    for n in [*range(1, 200), 1000]:
        for confidence in (0.5, 0.9, 0.95, 0.99):
            q = (1 - confidence) / 2
            needed = Fraction(q) * 2**n
            sums = accumulate(comb(n, k) for k in range(n + 1))
            expected = next(k for k, total in enumerate(sums) if total >= needed)
            assert intervals._binomial_quantile(q, n) == expected
