from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.reports.digits import (
    Estimate,
    agrees,
    bounds,
    compact,
    earned,
    interval,
    percent_difference,
    ratio,
    significant,
)

positive = st.floats(1e-3, 1e5)
shares = st.floats(0.0, 0.9)


@st.composite
def estimates(draw: st.DrawFn) -> Estimate:
    value = draw(positive)
    return Estimate(value, value * (1 - draw(shares)), value * (1 + draw(shares)))


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(3.2712, 3.24, 3.31), "3.27"),
        (Estimate(3.2712, 2.9, 3.8), "3.3"),
        (Estimate(108.4, 70.0, 150.0), "110"),
        (Estimate(0.3190, 0.3162, 0.3231), "0.319"),
        (Estimate(2.0, 2.0, 2.0), "2.000"),
        (Estimate(12345.6, 12345.6, 12345.7), "12,350"),
    ],
)
def test_a_figure_shows_the_digits_its_spread_has_earned(estimate: Estimate, text: str) -> None:
    assert earned(estimate) == text


@given(estimates())
def test_shown_interval_is_never_narrower_than_the_true_one(estimate: Estimate) -> None:
    low, high = (Decimal(text.replace(",", "")) for text in bounds(estimate))
    assert low <= Decimal(f"{estimate.low:.12g}")
    assert high >= Decimal(f"{estimate.high:.12g}")
    assert low <= Decimal(earned(estimate).replace(",", "")) <= high


def test_a_wider_spread_never_earns_more_digits() -> None:
    texts = [earned(Estimate(1.23456, 1.23456 - side, 1.23456 + side)) for side in
             (1e-6, 1e-4, 1e-3, 1e-2, 0.1, 0.5)]  # fmt: skip
    assert [len(text) for text in texts] == sorted((len(t) for t in texts), reverse=True)


@given(estimates(), estimates())
def test_a_ratio_lies_in_its_interval_and_turns_round(a: Estimate, b: Estimate) -> None:
    forth, back = ratio(a, b), ratio(b, a)
    assert forth.low <= forth.value * (1 + 1e-12)
    assert forth.value <= forth.high * (1 + 1e-12)
    assert forth.low == pytest.approx(1 / back.high)
    assert forth.high == pytest.approx(1 / back.low)


@given(estimates(), estimates(), estimates())
def test_a_ratio_of_ratios_is_the_ratio_through_the_common_term(
    a: Estimate, b: Estimate, c: Estimate
) -> None:
    through = ratio(ratio(a, c), ratio(b, c))
    direct = ratio(a, b)
    assert through.value == pytest.approx(direct.value)
    # The common term is counted twice as if independent: never too sure.
    assert through.low <= direct.low * (1 + 1e-9)
    assert through.high >= direct.high * (1 - 1e-9)


@given(estimates(), estimates())
def test_a_ratio_is_surer_than_the_worst_case_and_less_sure_than_either(
    a: Estimate, b: Estimate
) -> None:
    found = ratio(a, b)
    assert found.low >= a.low / b.high * (1 - 1e-9)
    assert found.high <= a.high / b.low * (1 + 1e-9)
    assert found.high / found.value >= a.high / a.value * (1 - 1e-9)


def test_small_helpers() -> None:
    assert significant(220.965376) == "221.0"
    assert significant(0.0) == "0.000"
    assert percent_difference(0.99, 1.0) == "−1.0 %"
    assert percent_difference(0.9898, 0.99) == "0.0 %"
    assert compact(Estimate(108.2, 107.0, 109.0)) == "108±1"
    assert agrees(0.9933, "0.99")
    assert not agrees(1.003, "0.99")


@pytest.mark.parametrize("spread", [0.0, 0.1, 1e-300])
@pytest.mark.parametrize("value", [1e308, 1e30, 1e-308])
def test_a_figure_that_nobody_can_read_is_no_traceback(value: float, spread: float) -> None:
    reach = value * spread
    assert float(earned(Estimate(value, value - reach, value + reach)).replace(",", "")) >= 0
    assert interval(Estimate(value, 0.0, value))
