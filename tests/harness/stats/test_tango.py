from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.harness.stats.tango import interval, score

counts = st.integers(0, 60)


@given(counts, counts, st.integers(200, 5000), st.floats(-0.05, 0.05))
def test_the_score_is_that_of_the_likeliest_shares_under_the_difference(
    only_first: int, only_second: int, pairs: int, difference: float
) -> None:
    # The likelihood on a grid of the share that the first alone gets right.
    share = np.linspace(max(0.0, -difference) + 1e-9, 0.45, 400_001)
    rest = 1 - 2 * share - difference
    likelihood = (
        only_first * np.log(share)
        + only_second * np.log(share + difference)
        + (pairs - only_first - only_second) * np.log(rest)
    )
    best = float(share[np.argmax(likelihood)])
    variance = pairs * (2 * best + difference * (1 - difference))
    if variance < 0.05:  # where nothing varies the grid is too coarse
        return
    gap = only_second - only_first - pairs * difference
    expected = gap / math.sqrt(variance)
    assert score(only_first, only_second, pairs, difference) == pytest.approx(
        expected, rel=0.01, abs=0.01
    )


@given(st.integers(1, 60), counts, st.integers(200, 5000))
def test_without_a_difference_it_is_mcnemars(only_first: int, only_second: int, pairs: int) -> None:
    expected = (only_second - only_first) / math.sqrt(only_first + only_second)
    assert score(only_first, only_second, pairs, 0.0) == pytest.approx(expected, abs=1e-9)


@given(counts, counts, st.integers(200, 5000))
def test_the_interval_turns_with_the_sides_and_ends_where_the_score_is_critical(
    only_first: int, only_second: int, pairs: int
) -> None:
    low, high = interval(only_first, only_second, pairs)
    turned = interval(only_second, only_first, pairs)
    assert (-turned[1], -turned[0]) == pytest.approx((low, high), abs=1e-9)
    assert low <= (only_second - only_first) / pairs <= high
    assert score(only_first, only_second, pairs, low) == pytest.approx(1.959964, abs=1e-3)
    assert score(only_first, only_second, pairs, high) == pytest.approx(-1.959964, abs=1e-3)


@pytest.mark.parametrize(("first", "second"), [(0.004, 0.004), (0.002, 0.006), (0.01, 0.03)])
def test_95_percent_intervals_hold_the_truth_in_93_to_97_percent(
    first: float, second: float
) -> None:
    pairs, trials = 3000, 2000
    draw = np.random.default_rng(0)
    drawn = draw.multinomial(pairs, [first, second, 1 - first - second], size=trials)
    seen = [interval(int(b), int(c), pairs) for b, c, _ in drawn]
    covered = [low <= second - first <= high for low, high in seen]
    assert 0.93 <= np.mean(covered) <= 0.97
