"""What is done to any array, against scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from facebench.harness.stats.arrays import ranks


@given(st.lists(st.integers(0, 9) | st.floats(-1e300, 1e300), min_size=1, max_size=60))
def test_ranks_are_those_of_scipy(values: list[float]) -> None:
    series = np.asarray(values, np.float64)
    assert ranks(series).tolist() == rankdata(series).tolist()


@pytest.mark.parametrize("count", [1, 2, 7])
def test_equal_values_share_the_middle(count: int) -> None:
    assert ranks(np.full(count, 3.0)).tolist() == [(count + 1) / 2] * count
