from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import spearmanr

from facebench.harness.devices.emulator.fit import FitRow, fit

COMPUTE, MEMORY, THREADS = 2.2, 1.5, 4


def rows(noise: float = 0.0, count: int = 8) -> list[FitRow]:
    """Networks whose published times the two terms explain, but for so much noise."""
    draw = random.Random(7)
    made = []
    for index in range(count):
        compute_s, memory_s = draw.uniform(0.02, 0.1), draw.uniform(0.002, 0.02)
        exact = COMPUTE * compute_s / THREADS + MEMORY * memory_s
        published = exact * (1 + noise * draw.uniform(-1, 1))
        made.append(FitRow(f"net{index}", compute_s, memory_s, published, THREADS))
    return made


def least_squares(chosen: list[FitRow]) -> NDArray[np.float64]:
    """Both constants by least squares of relative errors; the reference, with no bound."""
    terms = [[r.compute_s / r.threads / r.published_s, r.memory_s / r.published_s] for r in chosen]
    found: NDArray[np.float64] = np.linalg.lstsq(np.array(terms), np.ones(len(chosen)))[0]
    return found


def modelled(row: FitRow, constants: NDArray[np.float64]) -> float:
    return float(constants[0] * row.compute_s / row.threads + constants[1] * row.memory_s)


def test_known_constants_are_found_again() -> None:
    found = fit(rows(), "net0")
    assert (found.compute, found.memory) == pytest.approx((COMPUTE, MEMORY))
    assert (found.mean_error, found.left_out) == pytest.approx((0, 0), abs=1e-9)
    assert found.rank_correlation == pytest.approx(1)


def test_ratios_are_to_the_base() -> None:
    given = rows()
    found = fit(given, "net3")
    published = {row.network: row.published_s / given[3].published_s for row in given}
    assert found.ratios == pytest.approx(published)
    assert found.ratios["net3"] == 1


def test_the_left_out_error_is_that_of_constants_which_never_saw_the_row() -> None:
    given = rows(noise=0.1)
    base = given[0]
    errors = []
    for row in given[1:]:
        constants = least_squares([other for other in given if other is not row])
        assert (constants > 0).all()
        ours = modelled(row, constants) / modelled(base, constants)
        errors.append(abs(ours / (row.published_s / base.published_s) - 1))
    found = fit(given, "net0")
    assert found.left_out == pytest.approx(np.mean(errors))
    assert (found.compute, found.memory) == pytest.approx(tuple(least_squares(given)))


def test_the_order_of_rows_changes_nothing() -> None:
    given = rows(noise=0.1, count=4)
    first, *others = (fit(list(order), "net1") for order in itertools.permutations(given))
    for other in others:
        assert (other.compute, other.left_out) == pytest.approx((first.compute, first.left_out))


def test_constants_are_never_negative() -> None:
    # More traffic, less time: an unbounded fit would take memory for a gain.
    given = [FitRow(f"net{i}", 0.1 + 0.01 * i, 0.01 * i, 0.1 - 0.02 * i, 1) for i in range(4)]
    assert least_squares(given)[1] < 0
    found = fit(given, "net0")
    assert found.memory == 0
    assert found.compute > 0


def test_rank_correlation_sees_order_alone() -> None:
    # Three networks by compute alone, in the reverse order of their published times.
    given = [
        FitRow("a", 1.0, 0.0, 3.0, 1),
        FitRow("b", 2.0, 0.0, 2.0, 1),
        FitRow("c", 3.0, 0.0, 1.0, 1),
    ]
    assert fit(given, "a").rank_correlation == pytest.approx(-1)


def test_rank_correlation_is_spearmans() -> None:
    given = [FitRow(f"net{i}", c, 0.0, t, 1) for i, (c, t) in enumerate(COMPUTE_AND_TIMES)]
    expected = spearmanr(*zip(*COMPUTE_AND_TIMES, strict=True)).statistic
    assert fit(given, "net0").rank_correlation == pytest.approx(expected)


# Two of them tie.
COMPUTE_AND_TIMES = [(1.0, 2.0), (2.0, 1.0), (3.0, 5.0), (4.0, 4.0), (5.0, 5.0)]


def test_too_few_rows_or_no_base_are_refused() -> None:
    with pytest.raises(ValueError, match="three rows"):
        fit(rows(count=2), "net0")
    with pytest.raises(ValueError, match="one of them mobilefacenet"):
        fit(rows(), "mobilefacenet")
