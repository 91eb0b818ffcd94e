"""The quick tests meet every value, and with `tox -e full` every combination."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sampling import covering, sixth, today

AXIS = st.lists(st.integers(), min_size=1, max_size=6, unique=True)


def quick(params: Sequence[Any]) -> list[tuple[Any, ...]]:
    return [param.values for param in params if not param.marks]


@given(AXIS, AXIS)
def test_a_covering_meets_each_value_in_as_few_combinations_as_can(
    one: list[int], two: list[int]
) -> None:
    params = covering(one, two)
    assert len({param.values for param in params}) == len(params) == len(one) * len(two)
    first, second = zip(*quick(params), strict=True)
    assert (set(first), set(second)) == (set(one), set(two))
    assert len(first) == max(len(one), len(two))


@given(AXIS)
def test_a_part_of_the_first_axis_meets_each_value_of_the_others(values: list[int]) -> None:
    first, second = zip(*quick(covering(range(9), values, of_first=slice(2, None, 3))), strict=True)
    assert (set(first), set(second)) == ({2, 5, 8}, set(values))


@given(AXIS)
def test_six_properties_meet_each_value_once(values: list[int]) -> None:
    met = [value for first in range(6) for (value,) in quick(sixth(values, first))]
    assert sorted(met) == sorted(values)


def test_a_property_meets_each_value_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    met: set[int] = set()
    for day in range(60):
        monkeypatch.setenv("FACEBENCH_TEST_SEED", f"day {day}")
        met |= {value for (value,) in quick(sixth(range(9), 0))}
    assert met == set(range(9))


def test_a_day_takes_a_few_and_all_are_met_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    met: set[int] = set()
    for day in range(60):
        monkeypatch.setenv("FACEBENCH_TEST_SEED", f"day {day}")
        params = today(range(9), 3)
        assert [param.values for param in params] == [(value,) for value in range(9)]
        assert len(quick(params)) == 3
        met |= {value for (value,) in quick(params)}
    assert met == set(range(9))
