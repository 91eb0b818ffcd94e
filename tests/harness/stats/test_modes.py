"""Times with two typical values are told from skewed ones, by the dip."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy.optimize import linprog

from facebench.harness.stats.modes import dip, modes


def nearest(x: npt.NDArray[np.float64], mode: int) -> float:
    """Distance from the nearest distribution with its mode at one of the samples.

    A linear programme: the distribution's values at the samples (two at the mode, where
    it may jump) and the distance are unknown; it is convex before the mode and concave
    after it.
    """
    n = len(x)
    rows: list[npt.NDArray[np.float64]] = []
    bounds: list[float] = []

    def at_most(terms: dict[int, float], bound: float) -> None:
        row = np.zeros(n + 2)
        for column, factor in terms.items():
            row[column] += factor
        rows.append(row)
        bounds.append(bound)

    for i in range(n):
        before, after = i + (i > mode), i + (i >= mode)
        at_most({before: 1, n + 1: -1}, i / n)
        at_most({after: -1, n + 1: -1}, -(i + 1) / n)
        if before == after:
            at_most({before: -1, n + 1: -1}, -i / n)
    at_most({mode: 1, mode + 1: -1}, 0)
    sides = [(0, 0, mode, 1), (mode, mode + 1, n - 1 - mode, -1)]
    for first, column, steps, sign in sides:
        for k in range(steps):
            at_most({column + k: 1, column + k + 1: -1}, 0)
        for k in range(steps - 1):
            one, two = np.diff(x[first + k : first + k + 3])
            slopes = {
                column + k: -1 / one,
                column + k + 1: 1 / one + 1 / two,
                column + k + 2: -1 / two,
            }
            at_most({at: sign * factor for at, factor in slopes.items()}, 0)
    cost = np.eye(n + 2)[-1]
    free = [(None, None)] * (n + 1)
    return float(linprog(cost, np.array(rows), bounds, bounds=[*free, (0, None)]).fun)


@pytest.mark.parametrize("seed", range(12))
def test_the_dip_is_the_distance_from_the_nearest_distribution_with_one_mode(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(4, 12))
    two = np.concatenate([rng.normal(0, 1, n // 2), rng.normal(4, 1, n - n // 2)])
    x = np.sort(two if seed % 2 else rng.random(n))
    assert dip(x) == pytest.approx(min(nearest(x, mode) for mode in range(n)), abs=1e-7)


@pytest.mark.parametrize("n", [66, 400])
def test_one_mode_is_seldom_taken_for_two_however_skewed(n: int) -> None:
    rng = np.random.default_rng(n)
    times = [*rng.lognormal(0, 0.3, (150, n)), *(1 + rng.exponential(0.2, (150, n)))]
    assert np.mean([modes(one.tolist(), n).two for one in times]) < 0.02


def test_two_clocks_are_two_modes() -> None:
    rng = np.random.default_rng(0)
    times = np.where(rng.random(200) < 0.3, 5.0, 3.0) * np.exp(0.03 * rng.standard_normal(200))
    found = modes(times.tolist(), 200)
    assert found.two
    assert found.ratio == pytest.approx(5 / 3, rel=0.02)
    assert found.share == pytest.approx(0.3, abs=0.07)


def test_two_modes_next_to_each_other_are_no_concern() -> None:
    times = np.where(np.arange(200) % 2, 1.0, 1.001) + np.linspace(0, 1e-5, 200)
    found = modes(times.tolist(), 200)
    assert found.dip > 1
    assert not found.two


def test_a_single_switch_of_speed_is_worth_few_samples_and_proves_nothing() -> None:
    times = [3.0 + i / 1000 for i in range(50)] + [5.0 + i / 1000 for i in range(50)]
    assert modes(times, 100).two
    assert not modes(times, 3).two


@pytest.mark.parametrize("samples", [[1.0], [2.0] * 70, [1.0, 2.0]])
def test_few_samples_or_equal_ones_have_one_mode(samples: list[float]) -> None:
    assert not modes(samples, len(samples)).two
