"""The rules of the verdicts, tried on samples whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr
from scipy.stats import ttest_1samp, ttest_ind

from facebench.harness.comparison.verdict import Policy
from facebench.harness.stats.ratios import (
    LogRatio,
    log_ratio,
    log_ratio_between_jobs,
    log_ratio_in_turns,
    processes_needed,
)

TRIALS = 20_000
POLICY = Policy()
MARGIN = math.log1p(POLICY.margin)
SPREADS = (0.003, 0.005, 0.01)
COUNTS = (5, 7, 10)

everywhere = pytest.mark.parametrize("spread", SPREADS)
for_each_count = pytest.mark.parametrize("count", COUNTS)


def many(slower: float, spread: float, count: int, odd: float = 0.0) -> LogRatio:
    """Trials of so many processes a side, NEW being slower.

    Args:
        odd: share of processes that are slow for a reason of their own, by 3 % on average.
    """
    draw = np.random.default_rng(1)

    def medians(factor: float) -> npt.NDArray[np.float64]:
        logs = spread * draw.normal(size=(TRIALS, count))
        logs += (draw.random(logs.shape) < odd) * draw.exponential(0.03, logs.shape)
        return np.asarray(factor * np.exp(logs))

    return log_ratio(medians(1.0), medians(1.0 + slower))


def slower(effect: LogRatio) -> npt.NDArray[np.bool_]:
    return np.asarray((effect.p_above() < POLICY.level) & (effect.estimate > MARGIN))


def same(effect: LogRatio) -> npt.NDArray[np.bool_]:
    return np.asarray(~slower(effect) & (effect.p_apart(MARGIN) < POLICY.same_level))


@everywhere
@for_each_count
@pytest.mark.parametrize("change", [0.0, 0.02, 0.05])
def test_95_percent_intervals_hold_the_truth_in_93_to_97_percent(
    spread: float, count: int, change: float
) -> None:
    low, high = many(change, spread, count).interval()
    assert 0.93 <= np.mean((low <= 1 + change) & (1 + change <= high)) <= 0.97


@everywhere
@for_each_count
@pytest.mark.parametrize("odd", [0.0, 0.1])
def test_a_against_a_is_a_false_alarm_in_at_most_1_percent(
    spread: float, count: int, odd: float
) -> None:
    assert np.mean(slower(many(0.0, spread, count, odd))) <= 0.01


@everywhere
@for_each_count
def test_5_percent_slower_is_found_in_95_percent(spread: float, count: int) -> None:
    assert np.mean(slower(many(0.05, spread, count))) >= 0.95


@pytest.mark.parametrize(("count", "spread"), [(5, 0.005), (7, 0.007), (7, 0.01), (10, 0.01)])
def test_2_percent_slower_is_found_in_60_percent(spread: float, count: int) -> None:
    assert np.mean(slower(many(0.02, spread, count))) >= 0.60


@everywhere
@for_each_count
@pytest.mark.parametrize("odd", [0.0, 0.1])
def test_2_percent_slower_is_called_same_in_at_most_5_percent(
    spread: float, count: int, odd: float
) -> None:
    assert np.mean(same(many(0.02, spread, count, odd))) <= 0.05


@everywhere
def test_a_change_of_the_margin_is_called_same_in_at_most_5_percent(spread: float) -> None:
    assert np.mean(same(many(POLICY.margin, spread, 10))) <= 0.05


def test_what_is_the_same_is_called_so_where_processes_agree_well_enough() -> None:
    assert np.mean(same(many(0.0, 0.003, 10))) >= 0.95


medians = st.lists(st.floats(1.0, 2.0), min_size=2, max_size=12)


@given(medians, medians)
def test_p_values_are_those_of_welchs_test(base: list[float], new: list[float]) -> None:
    logs = np.log(base), np.log(new)
    if min(np.std(logs[0], ddof=1), np.std(logs[1], ddof=1)) < 0.002:
        return  # spreads are taken for no less than a thousandth
    effect = log_ratio(base, new)
    expected = ttest_ind(logs[1], logs[0], equal_var=False, alternative="greater")
    assert float(effect.p_above()) == pytest.approx(float(expected.pvalue), abs=1e-9)
    low = expected.confidence_interval(0.95).low
    assert float(effect.interval(0.9)[0]) == pytest.approx(math.exp(low), rel=1e-9)


@given(medians, medians, st.floats(0.1, 10.0))
def test_the_sides_and_the_unit_may_be_exchanged(
    base: list[float], new: list[float], unit: float
) -> None:
    one = log_ratio(base, new)
    other = log_ratio(np.multiply(new, unit), np.multiply(base, unit))
    assert float(one.estimate) == pytest.approx(-float(other.estimate), abs=1e-9)
    assert float(one.p_above(0.01)) == pytest.approx(float(other.p_below(-0.01)), abs=1e-9)
    assert float(one.p_apart(0.01)) == pytest.approx(float(other.p_apart(0.01)), abs=1e-9)


def test_processes_that_agree_to_the_last_digit_prove_nothing_about_small_changes() -> None:
    effect = log_ratio([5.0, 5.0], [5.001, 5.001])
    assert float(effect.error) > 0
    assert float(effect.p_above()) > 0.05


@pytest.mark.parametrize("change", [0.0, 0.004, 0.015, 0.03])
def test_as_many_processes_as_are_asked_for_decide(change: float) -> None:
    spread = 0.01
    seen = many(change, spread, 3)
    one = LogRatio(
        np.asarray(math.log1p(change)), seen.error[0], seen.degrees[0], np.asarray(spread)
    )
    needed = processes_needed(one, MARGIN, POLICY.level, POLICY.same_level)
    assert needed is not None
    effect = many(change, spread, needed)
    decided = slower(effect) | same(effect)
    # Nearer to the other side's end of the margin, the chance there counts too.
    assert np.mean(decided) >= (0.55 if change < 0.002 else 0.7)
    fewer = many(change, spread, max(needed // 2, 2))
    assert np.mean(slower(fewer) | same(fewer)) < 0.7


def test_a_change_at_the_margin_is_not_decided_by_any_number_of_processes() -> None:
    margin = np.asarray(MARGIN)
    effect = LogRatio(margin - 1e-6, np.asarray(0.01), np.asarray(8.0), np.asarray(0.01))
    assert processes_needed(effect, MARGIN, POLICY.level, POLICY.same_level) is None


def in_turns(
    change: float, count: int = 6, turns: int = 16, spread: float = 0.004, seed: int = 0
) -> LogRatio:
    """Trials of processes in turns on a machine that others slow for seconds at a time.

    Each trial's processes see the same 5 % of drift, and a tenth of the turns are disturbed
    on one side alone, by 10 % on average.
    """
    draw = np.random.default_rng(seed)
    effects = []
    for _ in range(TRIALS // 10):
        drift = 0.05 * draw.normal(size=(count, 1)).cumsum(axis=0)

        def side(factor: float) -> npt.NDArray[np.float64]:
            logs = drift + spread * draw.normal(size=(count, 1))  # noqa: B023
            logs = logs + 0.01 * draw.normal(size=(count, turns))
            logs += (draw.random(logs.shape) < 0.1) * draw.exponential(0.1, logs.shape)
            return np.asarray(factor * np.exp(logs))

        effects.append(log_ratio_in_turns(side(1.0), side(1.0 + change)))
    stacked = {
        name: np.asarray([getattr(effect, name) for effect in effects])
        for name in ("estimate", "error", "degrees", "spread")
    }
    return LogRatio(**stacked, sides=1)


def test_turns_bear_a_machine_that_drifts_by_more_than_what_is_looked_for() -> None:
    nothing, little, much = (in_turns(change) for change in (0.0, 0.02, 0.05))
    assert np.mean(slower(nothing)) <= 0.01
    assert np.mean(slower(little)) >= 0.60
    assert np.mean(same(little)) <= 0.05
    assert np.mean(slower(much)) >= 0.95
    for change, effect in ((0.0, nothing), (0.05, much)):
        low, high = effect.interval()
        assert 0.93 <= np.mean((low <= 1 + change) & (1 + change <= high)) <= 0.97


@given(st.lists(st.tuples(st.floats(1.0, 2.0), st.floats(1.0, 2.0)), min_size=2, max_size=9))
def test_one_turn_a_process_is_the_paired_t_test(pairs: list[tuple[float, float]]) -> None:
    base, new = np.asarray(pairs).T
    logs = np.log(new / base)
    if np.std(logs, ddof=1) < 0.002:
        return  # spreads are taken for no less than a thousandth
    effect = log_ratio_in_turns(base[:, None], new[:, None])
    expected = ttest_1samp(logs, 0.0, alternative="greater")
    assert float(effect.p_above()) == pytest.approx(float(expected.pvalue), abs=1e-9)


@given(st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=12))
def test_turns_are_summed_up_by_the_median_of_their_means_two_by_two(logs: list[float]) -> None:
    new = np.exp(np.asarray([logs, logs]))
    means = [(a + b) / 2 for i, a in enumerate(logs) for b in logs[i:]]
    effect = log_ratio_in_turns(np.ones_like(new), new)
    assert float(effect.estimate) == pytest.approx(float(np.median(means)), abs=1e-9)


@pytest.mark.parametrize(("jobs", "processes"), [(1, 3), (2, 2), (1, 1)])
def test_a_spread_between_jobs_that_is_told_is_in_the_interval(jobs: int, processes: int) -> None:
    draw = np.random.default_rng(3)
    between, within = 0.05, 0.03

    def side() -> list[list[float]]:
        logs = between * draw.normal(size=(jobs, 1)) + within * draw.normal(size=(jobs, processes))
        return np.exp(logs).tolist()  # type: ignore[no-any-return]

    effects = [log_ratio_between_jobs(side(), side(), between) for _ in range(2000)]
    held = np.mean([low <= 1 <= high for low, high in (one.interval() for one in effects)])
    # Two jobs that differ by more than is told are believed, which widens a little.
    assert 0.94 <= held <= (0.985 if jobs > 1 else 0.965)


def test_the_smallest_ratio_found_is_found_in_four_of_five() -> None:
    draw = np.random.default_rng(4)
    effect = log_ratio_between_jobs([[1.0]], [[1.0]], 0.04)
    truth = float(np.log(effect.smallest(0.01)))
    # One process a side: nothing but these two spreads.
    seen = truth + math.hypot(0.04, 0.03) * math.sqrt(2) * draw.normal(size=4000)
    found = np.mean([1 - float(ndtr(one / effect.error)) < 0.01 for one in seen])
    assert found == pytest.approx(0.8, abs=0.02)
