"""The search tries tilings once each, and keeps the best that is right."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facebench.architectures.errors import LostError, WrongAnswerError
from facebench.harness.compiler import records, tiling
from facebench.harness.compiler.tiling import Tiling
from facebench.harness.tuning.costs import Failure
from facebench.harness.tuning.proposals import Proposals
from facebench.harness.tuning.search import Trials, search
from facebench.harness.tuning.tuner import enough, tune
from tests.harness.tuning.fakes import KERNELS, REGISTERS, WORK, FakeCost

ALL = sorted(tiling.candidates(WORK, REGISTERS), key=lambda one: tiling.cost(WORK, one, REGISTERS))
MODEL = ALL[0]


def in_order(one: Tiling) -> float:
    """The model is right about all."""
    return 1.0 + ALL.index(one)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=20), st.data())
def test_nothing_is_proposed_twice_and_everything_once(
    counts: list[int], data: st.DataObject
) -> None:
    proposals = Proposals(ALL)
    seen = proposals.first(counts[0])
    assert seen == list(range(min(counts[0], len(ALL))))  # the model's favourites
    for count in counts[1:]:
        found = proposals.next(count, data.draw(st.sampled_from(seen)))
        assert len(found) == min(count, len(ALL) - len(seen))
        seen += found
    assert len(set(seen)) == len(seen)


def test_neighbours_of_the_best_are_tried_next() -> None:
    proposals = Proposals(ALL)
    proposals.first(4)
    (number,) = proposals.next(1, 3)
    differing = [a != b for a, b in zip(fields(ALL[number]), fields(ALL[3]), strict=True)]
    assert sum(differing) == 1


def fields(one: Tiling) -> list[int]:
    return list(vars(one).values())


@pytest.mark.parametrize("trials", [1, 5, 20, 10_000])
def test_as_many_tilings_are_tried_as_were_asked_for_or_as_there_are(trials: int) -> None:
    cost = FakeCost(in_order)
    *_, done = search(WORK, ALL, cost, trials)
    assert done.count == min(trials, len(ALL))
    assert {ALL.index(one) for asked in cost.asked for one in asked} == set(done.costs)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, len(ALL) - 1), st.integers(2, 12))
def test_what_is_found_costs_no_more_than_what_was_found_before(before: int, trials: int) -> None:
    def reversed_order(one: Tiling) -> float:
        """The model is wrong about all."""
        return 1.0 + len(ALL) - ALL.index(one)

    record = tune(WORK, FakeCost(reversed_order), trials, known=[ALL[before]])
    assert record.cost <= reversed_order(ALL[before])
    assert record.trials == min(trials, len(ALL))


def test_the_best_so_far_is_measured_again_with_each_batch() -> None:
    cost = FakeCost(in_order)
    list(search(WORK, ALL, cost, 20))
    assert all(asked[0] == MODEL for asked in cost.asked)
    assert len(cost.asked) > 1


@settings(max_examples=50)
@given(st.floats(0.2, 5.0))
def test_a_machine_that_is_slower_meanwhile_changes_no_ranking(slower: float) -> None:
    done = Trials(ALL)
    done.add([0, 1], [1.0, 2.0])
    done.add([0, 2, 3], [slower, 0.5 * slower, 3 * slower])
    assert done.best == 2
    assert done.costs[2] == pytest.approx(0.5)


def test_a_tiling_that_fails_is_not_the_best() -> None:
    cost = FakeCost(lambda one: Failure("it crashed") if one == ALL[1] else in_order(one))
    *_, done = search(WORK, ALL, cost, 6)
    assert done.failures == {1: "it crashed"}
    assert done.best == 0


def test_a_device_that_is_lost_ends_the_search_with_its_reason() -> None:
    def lost(one: Tiling) -> float:
        raise LostError("the board is gone")

    with pytest.raises(LostError, match="the board is gone"):
        list(search(WORK, ALL, FakeCost(lost), 4))


def test_ctrl_c_ends_the_search() -> None:
    def pressed(one: Tiling) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(search(WORK, ALL, FakeCost(pressed), 4))


def test_the_cheapest_tiling_is_recorded_with_the_models_cost_beside_it() -> None:
    cost = FakeCost(lambda one: 1.0 if one == ALL[2] else 2.0)
    record = tune(WORK, cost, 6)
    assert records.tiling_of(record, WORK, REGISTERS) == ALL[2]
    assert (record.cost, record.scheduled, record.gain) == (1.0, 2.0, 2.0)
    assert (record.unit, record.how, record.trials) == ("seconds", "made up", 6)


@pytest.mark.parametrize(("noise", "expected"), [(0.01, 0), (0.0, 2)])
def test_a_gain_within_the_noise_changes_nothing(noise: float, expected: int) -> None:
    cost = FakeCost(lambda one: 0.995 if one == ALL[2] else 1.0, noise)
    record = tune(WORK, cost, 6)
    assert records.tiling_of(record, WORK, REGISTERS) == ALL[expected]


def test_finalists_are_measured_beside_the_models_choice() -> None:
    cost = FakeCost(lambda one: 1.0 / in_order(one))
    tune(WORK, cost, 6)
    assert cost.asked[-1] == [MODEL, ALL[5], ALL[4], ALL[3]]


def test_costs_that_are_exact_are_not_measured_again() -> None:
    cost = FakeCost(lambda one: 1.0 / in_order(one), exact=True)
    assert records.tiling_of(tune(WORK, cost, 6), WORK, REGISTERS) == ALL[5]
    assert cost.asked == [ALL[:6]]


def test_what_was_found_before_is_tried_behind_the_models_choice() -> None:
    cost = FakeCost(in_order)
    list(search(WORK, ALL, cost, 5, [ALL[9], ALL[7], MODEL, ALL[9]]))
    assert cost.asked == [[MODEL, ALL[9], ALL[7], ALL[1], ALL[2]]]


def test_a_wrong_kernel_is_named_and_the_next_best_is_taken() -> None:
    order = [ALL[1], ALL[2]]
    cost = FakeCost(
        lambda one: 0.5 + 0.1 * order.index(one) if one in order else 1.0, wrong=[ALL[1]]
    )
    said: list[str] = []
    record = tune(WORK, cost, 6, warn=said.append)
    assert records.tiling_of(record, WORK, REGISTERS) == ALL[2]
    assert len(said) == 1
    assert f"{ALL[1]} differs from its definition by 1.0e-03" in said[0]


def test_a_wrong_choice_of_the_model_is_an_error() -> None:
    with pytest.raises(WrongAnswerError, match="differs from its definition"):
        tune(WORK, FakeCost(in_order, wrong=[MODEL]), 4)
    failing = FakeCost(lambda one: Failure("it crashed") if one == MODEL else 1.0)
    with pytest.raises(WrongAnswerError, match="the model's choice .* cannot be run: it crashed"):
        tune(WORK, failing, 4)


def test_a_record_of_all_tilings_is_enough_for_any_number_of_trials() -> None:
    few = tune(WORK, FakeCost(in_order), 4)
    assert enough(few, WORK, KERNELS, 4)
    assert not enough(few, WORK, KERNELS, 5)
    assert enough(tune(WORK, FakeCost(in_order), len(ALL)), WORK, KERNELS, 10_000)
