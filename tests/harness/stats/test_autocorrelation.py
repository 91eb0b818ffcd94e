"""Samples that are like the one before are worth fewer independent ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.harness.stats.autocorrelation import effective_size


def alike(rng: np.random.Generator, rho: float, n: int) -> list[float]:
    """An autoregressive series: each sample is `rho` of the one before, and noise."""
    values = rng.standard_normal(n)
    for i in range(1, n):
        values[i] = rho * values[i - 1] + np.sqrt(1 - rho**2) * values[i]
    return np.exp(0.05 * values).tolist()


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.6, 0.8])
def test_an_autoregressive_series_is_worth_what_theory_says(rho: float) -> None:
    rng = np.random.default_rng(round(10 * rho))
    worth = np.mean([effective_size(alike(rng, rho, 1000)) for _ in range(30)])
    assert worth == pytest.approx(1000 * (1 - rho) / (1 + rho), rel=0.2)


def test_a_straight_trend_is_none_of_its_business() -> None:
    noise = np.random.default_rng(1).normal(0, 0.01, 300)
    assert effective_size((10 + np.linspace(0, 5, 300) + noise).tolist()) > 50


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=100))
def test_it_lies_between_one_and_their_number(samples: list[float]) -> None:
    assert 1 <= effective_size(samples) <= len(samples)


@given(st.lists(st.floats(1, 1000), min_size=8, max_size=50, unique=True))
def test_only_the_order_of_times_counts(samples: list[float]) -> None:
    assert effective_size([s**2 for s in samples]) == pytest.approx(effective_size(samples))
