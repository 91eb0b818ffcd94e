from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facebench.harness.stats.change_points import LEAST_POINTS, exact_steps, steps


def series(*levels: tuple[float, int], spread: float = 0.01, seed: int = 0) -> list[float]:
    draw = np.random.default_rng(seed)
    flat = np.concatenate([np.full(count, level) for level, count in levels])
    return [float(x) for x in flat * np.exp(spread * draw.normal(size=len(flat)))]


def test_a_level_that_does_not_change_has_steps_in_about_1_percent() -> None:
    found = [bool(steps(series((5.0, 30), seed=seed), margin=0.0)) for seed in range(300)]
    assert np.mean(found) <= 0.03


@pytest.mark.parametrize("change", [0.9, 1.05])
def test_a_step_of_several_spreads_is_found_where_it_is(change: float) -> None:
    found = [steps(series((5.0, 15), (5 * change, 12), seed=seed)) for seed in range(50)]
    exact = [len(one) == 1 and abs(one[0].index - 15) <= 1 for one in found]
    assert np.mean(exact) >= 0.9
    (one,) = found[0]
    assert one.change == pytest.approx(change - 1, abs=0.015)


@given(st.integers(25, 60), st.integers(60, 300), st.booleans(), st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_levels_that_do_not_overlap_are_parted_where_one_ends(
    few: int, many: int, up: bool, seed: int
) -> None:
    """By ranks alone the step of a short part and a long one was placed within the long one."""
    values = series((5.0, few), (6.0 if up else 4.0, many), spread=0.01, seed=seed)
    assert few in [step.index for step in steps(values)]
    assert many in [step.index for step in steps(values[::-1])]


def test_two_steps_are_both_found() -> None:
    found = steps(series((5.0, 20), (6.0, 20), (5.0, 20)))
    assert [step.index for step in found] == [20, 40]
    assert found[0].after == found[1].before == pytest.approx(6.0, rel=0.02)


def test_a_step_within_the_margin_is_none() -> None:
    values = series((5.0, 20), (5.1, 20), spread=0.001)
    assert steps(values, margin=0.03) == []
    assert len(steps(values, margin=0.01)) == 1


def test_one_odd_revision_is_no_step() -> None:
    values = series((5.0, 30))
    values[12] = 50.0
    assert steps(values) == []


@given(st.lists(st.floats(1.0, 100.0), max_size=LEAST_POINTS - 1))
def test_too_few_points_have_no_steps(values: list[float]) -> None:
    assert steps(values) == []


@given(st.lists(st.floats(1.0, 100.0), max_size=30), st.sampled_from([0.125, 4.0, 1024.0]))
def test_the_unit_does_not_matter(values: list[float], unit: float) -> None:
    scaled = steps([unit * value for value in values])
    assert [step.index for step in scaled] == [step.index for step in steps(values)]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=20))
def test_an_exact_count_steps_wherever_it_changes(values: list[int]) -> None:
    found = exact_steps(values)
    assert [step.index for step in found] == [
        i for i in range(1, len(values)) if values[i] != values[i - 1]
    ]
    assert all(step.before == values[step.index - 1] for step in found)
    assert all(step.after == values[step.index] for step in found)


def test_there_is_no_relative_change_from_zero() -> None:
    assert [step.change for step in exact_steps([0, 5, 10])] == [None, 1.0]
