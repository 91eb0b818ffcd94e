"""Variance over people against closed forms, brute force and SciPy."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, t

from facebench.harness.stats.clustered import (
    OF_EACH,
    ClusteredSpread,
    Members,
    none_seen,
    rate_interval,
    share_interval,
    too_few,
)


def test_pairs_of_people_of_their_own_are_independent():
    values = np.random.default_rng(0).normal(size=500)
    values -= values.mean()
    for people in ((), np.stack([np.arange(500)] * 2, axis=1)):
        spread = Members.of(people, np.zeros(500)).spread(values / 500)
        assert spread.variance == pytest.approx(values.var(ddof=1) / 500, rel=0.01)
        assert spread.design_effect == pytest.approx(1.0, abs=0.01)


def test_one_image_of_each_person_many_times_is_the_jackknife():
    rng = np.random.default_rng(1)
    who, values = np.repeat(np.arange(30), 7), rng.normal(size=210)
    spread = Members.of(np.stack([who, who], axis=1), np.zeros(210)).spread(
        (values - values.mean()) / 210
    )
    left_out = np.array([values[who != one].mean() for one in range(30)])
    assert spread.variance == pytest.approx(((left_out - values.mean()) ** 2).sum())


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(3, 30))
def test_it_is_the_sum_over_all_pairs_of_pairs_that_share_somebody(seed, people):
    rng = np.random.default_rng(seed)
    who, influence = rng.integers(0, people, (60, 2)), rng.normal(size=60)
    expected = sum(
        influence[p] * influence[q]
        for p in range(60)
        for q in range(60)
        if set(who[p]) & set(who[q])
    )
    # Among very many pairs nobody has a share that needs correction.
    sums = Members.of(np.append(who, [[-1, -1]] * 100_000, axis=0), np.zeros(100_060))
    plain = sums.spread(np.append(influence, np.zeros(100_000))).variance
    assert plain == pytest.approx(expected, rel=5e-2, abs=0.1)


def test_people_who_go_together_are_seen():
    rng, runs = np.random.default_rng(2), 300
    i, j = np.triu_indices(25, 1)
    made = Members.of(np.stack([i, j], axis=1), np.zeros(len(i)))
    means, variances = [], []
    for _ in range(runs):
        own = rng.normal(size=25)
        values = own[i] + own[j] + rng.normal(size=len(i))
        means.append(values.mean())
        variances.append(made.spread((values - values.mean()) / len(i)).variance)
    assert np.mean(variances) == pytest.approx(np.var(means), rel=0.25)


@given(st.integers(1, 400), st.data())
def test_a_rate_of_many_independent_trials_has_clopper_and_pearsons_interval(trials, data):
    hits = data.draw(st.integers(1, trials)) if trials > 1 else 1
    if hits == trials:
        return
    rate = hits / trials
    low, high = rate_interval(rate, ClusteredSpread(0.0, rate * (1 - rate) / trials, 1e9))
    exact = binomtest(hits, trials).proportion_ci(0.95, "exact")
    assert (low, high) == pytest.approx((exact.low, exact.high), abs=1e-6)


@given(st.floats(0.001, 0.999), st.floats(1e-8, 0.05), st.floats(1, 1e4))
def test_no_interval_passes_nought_or_one(rate, variance, carriers):
    for made in (rate_interval, share_interval):
        low, high = made(rate, ClusteredSpread(variance, variance, carriers))
        assert 0 <= low <= rate <= high <= 1


def test_the_logit_interval_by_hand():
    low, high = share_interval(0.9, ClusteredSpread(0.0004, 0.0001, 12.0))
    side = t.ppf(0.975, 9) * 0.02 / 0.09
    assert low == pytest.approx(1 / (1 + math.exp(side - math.log(9))))
    assert high == pytest.approx(1 / (1 + math.exp(-side - math.log(9))))


def test_what_few_people_carry_is_less_certain():
    widths = [
        np.ptp(rate_interval(0.05, ClusteredSpread(1e-4, 1e-4, carriers)))
        for carriers in (3, 10, 1000)
    ]
    assert widths[0] > 1.2 * widths[1] > 1.2 * widths[2]
    assert ClusteredSpread(1e-4, 1e-4, 10).student() == pytest.approx(t.ppf(0.975, OF_EACH * 10))


@given(st.integers(1, 10_000))
def test_the_bound_of_what_is_not_seen_is_exact(trials):
    assert (1 - none_seen(trials)) ** trials == pytest.approx(0.05)


def test_few_people_have_no_interval():
    assert not too_few(20)
    assert "needs 20" in too_few(19)
