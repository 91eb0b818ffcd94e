"""A trend in samples is told from chance, and one that matters from one that does not."""

from collections.abc import Sequence
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from facebench.harness.stats import drift as drifts
from facebench.harness.stats.drift import Drift, drift

few_values = st.lists(st.integers(1, 6).map(float), min_size=10, max_size=60)
many_values = st.lists(st.floats(1e-6, 1e6), min_size=10, max_size=60)

# Of a median that is known to 0.5 %.
WIDTH = 0.005


@given(few_values | many_values)
def test_p_of_independent_samples_is_that_of_kendalls_tau_against_time(
    samples: list[float],
) -> None:
    if len(set(samples)) > 1:
        expected = kendalltau(range(len(samples)), samples, method="asymptotic").pvalue
        with patch.object(drifts, "effective_size", len):
            assert drift([samples]).p_value == pytest.approx(expected, rel=1e-9, abs=1e-300)


@given(st.lists(st.floats(1, 1000), min_size=10, max_size=60))
def test_samples_backwards_drift_backwards(samples: list[float]) -> None:
    forth, back = drift([samples]), drift([samples[::-1]])
    assert back.p_value == pytest.approx(forth.p_value)
    assert 1 + back.relative_change == pytest.approx(1 / (1 + forth.relative_change))


def test_a_board_that_heats_up_drifts() -> None:
    samples = np.linspace(10.0, 11.0, 100) + np.random.default_rng(0).normal(0, 0.1, 100)
    found = drift([samples.tolist()])
    assert found.matters(WIDTH)
    assert found.relative_change == pytest.approx(0.05, abs=0.01)


def test_one_that_speeds_up_drifts_too() -> None:
    assert drift([np.linspace(11.0, 10.0, 64).tolist()]).matters(WIDTH)


def test_what_lies_between_processes_is_no_drift() -> None:
    rng = np.random.default_rng(3)
    slower = [rng.normal(10 + k, 0.1, 40).tolist() for k in range(5)]
    found = drift(slower)
    assert found.p_value > 0.01
    assert abs(found.relative_change) < 0.01
    assert drift([[sample for one in slower for sample in one]]).matters(WIDTH)


def test_trends_of_processes_add_up() -> None:
    rng = np.random.default_rng(4)
    each = [(np.linspace(10, 10.4, 22) + rng.normal(0, 0.3, 22)).tolist() for _ in range(6)]
    assert drift(each).p_value < 0.01
    assert min(drift([one]).p_value for one in each) > drift(each).p_value


def test_a_trend_of_no_consequence_does_not_matter() -> None:
    found = drift([np.linspace(10.0, 10.1, 1000).tolist()])
    assert found.p_value < 1e-9
    assert not found.matters(WIDTH)


def test_a_drift_within_what_is_said_of_the_median_does_not_matter() -> None:
    found = drift([np.linspace(10.0, 11.0, 100).tolist()])
    assert found.matters(0.04)
    assert not found.matters(0.06)


def test_noise_is_seldom_a_drift() -> None:
    noise = np.random.default_rng(1).lognormal(0, 0.2, (1000, 64))
    assert sum(drift([row.tolist()]).p_value < 0.01 for row in noise) / 1000 < 0.02


def test_times_that_are_like_the_one_before_are_seldom_a_drift() -> None:
    rng = np.random.default_rng(5)
    walks = rng.normal(0, 1, (400, 200))
    for i in range(1, 200):
        walks[:, i] = 0.8 * walks[:, i - 1] + 0.6 * walks[:, i]
    times = np.exp(0.01 * walks)
    naive = [kendalltau(range(200), row, method="asymptotic").pvalue < 0.01 for row in times]
    found = [drift([row.tolist()]).p_value < 0.01 for row in times]
    assert np.mean(naive) > 0.2
    assert np.mean(found) < 0.05


def test_outliers_at_an_end_are_no_change() -> None:
    assert drift([[10.0] * 99 + [500.0]]).relative_change == 0


@pytest.mark.parametrize("samples", [[1.0], [1.0, 2.0, 3.0], [5.0] * 100])
def test_few_samples_or_equal_ones_show_no_trend(samples: list[float]) -> None:
    assert drift([samples]).p_value == 1


@pytest.mark.parametrize("samples", [[], [0.0] * 20, [1.0, float("nan")], [1.0, float("inf")]])
def test_what_is_no_time_is_refused(samples: Sequence[float]) -> None:
    with pytest.raises(ValueError, match="positive and finite"):
        drift([samples])


@pytest.mark.parametrize(
    ("p_value", "change", "matters"),
    [(0.009, 0.011, True), (0.009, -0.011, True), (0.011, 0.5, False), (0.0, 0.01, False)],
)
def test_both_conditions_are_needed(p_value: float, change: float, matters: bool) -> None:
    assert Drift(p_value, change).matters(WIDTH) is matters
