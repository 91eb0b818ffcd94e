"""A trend in samples is told from chance, and one that matters from one that does not."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from harness.timing.drift import Drift, drift

few_values = st.lists(st.integers(1, 6).map(float), min_size=10, max_size=60)
many_values = st.lists(st.floats(1e-6, 1e6), min_size=10, max_size=60)


@given(few_values | many_values)
def test_p_is_that_of_kendalls_tau_against_time(samples: list[float]) -> None:
    if len(set(samples)) > 1:
        expected = kendalltau(range(len(samples)), samples, method="asymptotic").pvalue
        assert drift(samples).p_value == pytest.approx(expected, rel=1e-9, abs=1e-300)


@given(st.lists(st.floats(1, 1000), min_size=10, max_size=60))
def test_samples_backwards_drift_backwards(samples: list[float]) -> None:
    forth, back = drift(samples), drift(samples[::-1])
    assert back.p_value == pytest.approx(forth.p_value)
    assert 1 + back.relative_change == pytest.approx(1 / (1 + forth.relative_change))


def test_a_board_that_heats_up_drifts() -> None:
    samples = np.linspace(10.0, 11.0, 100) + np.random.default_rng(0).normal(0, 0.1, 100)
    found = drift(samples.tolist())
    assert found.significant
    assert found.relative_change == pytest.approx(0.09, abs=0.02)


def test_one_that_speeds_up_drifts_too() -> None:
    assert drift(np.linspace(11.0, 10.0, 64).tolist()).significant


def test_a_trend_of_no_consequence_is_not_significant() -> None:
    found = drift(np.linspace(10.0, 10.1, 1000).tolist())
    assert found.p_value < 1e-9
    assert not found.significant


def test_noise_is_seldom_a_drift() -> None:
    noise = np.random.default_rng(1).lognormal(0, 0.2, (1000, 64))
    drifts = [drift(row.tolist()) for row in noise]
    assert 0.002 < sum(found.p_value < 0.01 for found in drifts) / 1000 < 0.02


def test_outliers_at_an_end_are_no_change() -> None:
    assert drift([10.0] * 99 + [500.0]).relative_change == 0


@pytest.mark.parametrize("samples", [[1.0], [1.0, 2.0, 3.0], [5.0] * 100])
def test_few_samples_or_equal_ones_show_no_trend(samples: list[float]) -> None:
    assert drift(samples).p_value == 1
    assert not drift(samples).significant


@pytest.mark.parametrize("samples", [[], [0.0] * 20, [1.0, float("nan")], [1.0, float("inf")]])
def test_what_is_no_time_is_refused(samples: Sequence[float]) -> None:
    with pytest.raises(ValueError, match="positive and finite"):
        drift(samples)


@pytest.mark.parametrize(
    ("p_value", "change", "significant"),
    [(0.009, 0.021, True), (0.009, -0.021, True), (0.011, 0.5, False), (0.0, 0.02, False)],
)
def test_both_conditions_are_needed(p_value: float, change: float, significant: bool) -> None:
    assert Drift(p_value, change).significant is significant


def test_twenty_thousand_samples_agree_with_scipy() -> None:
    samples = np.random.default_rng(2).normal(10, 1, 20_000)
    expected = kendalltau(np.arange(20_000), samples, method="asymptotic").pvalue
    assert drift(samples.tolist()).p_value == pytest.approx(expected, rel=1e-6)
