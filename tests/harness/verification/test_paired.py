"""Paired comparison against SciPy, closed forms and simulated systems."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from facebench.architectures.errors import BadInputError
from facebench.harness.verification.paired import compare, decisions, holm, mcnemar
from facebench.harness.verification.protocol import cross_validate
from facebench.harness.verification.resampling import identity_weights

p_values = st.lists(st.floats(0, 1), max_size=12)


def split(both, only_first, only_second, neither):
    counts = [both, only_first, only_second, neither]
    return np.repeat([True, True, False, False], counts), np.repeat([1, 0, 1, 0], counts) == 1


@given(st.integers(0, 300), st.integers(0, 300))
def test_the_p_value_is_that_of_the_exact_binomial_test(first, second):
    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar(first, second) == pytest.approx(expected, rel=1e-9)
    assert mcnemar(first, second) == mcnemar(second, first)


def test_a_comparison_counts_what_only_one_gets_right():
    made = compare(*split(80, 3, 12, 5), np.empty((0, 2), int))
    assert (made.pairs, made.only_first, made.only_second) == (100, 3, 12)
    assert made.difference == pytest.approx(0.09)
    assert made.interval[0] < made.difference < made.interval[1]
    assert made.p_value == pytest.approx(binomtest(3, 15).pvalue)
    assert made.over == "pairs"


def test_the_interval_over_pairs_is_near_the_normal_one():
    made = compare(*split(800, 40, 90, 70), (), replicates=4000)
    deviation = np.sqrt((130 / 1000 - 0.05**2) / 1000)
    assert made.interval == pytest.approx(
        (0.05 - 1.96 * deviation, 0.05 + 1.96 * deviation), abs=2e-3
    )


def test_over_people_a_draw_is_the_weighted_mean_difference():
    rng = np.random.default_rng(0)
    identities = rng.integers(0, 15, (80, 2))
    first, second = rng.random((2, 80)) < [[0.7], [0.9]]
    made = compare(first, second, identities, seed=4, replicates=300)
    weights = np.concatenate(list(identity_weights(identities, 300, 4)))
    differences = [np.average(second, weights=w) - np.average(first, weights=w) for w in weights]
    assert made.over == "identities"
    assert made.interval == pytest.approx(tuple(np.quantile(differences, [0.025, 0.975])))


def test_equal_systems_differ_by_nothing():
    first, _ = split(9, 1, 0, 3)
    made = compare(first, first, ())
    assert (made.difference, made.interval, made.p_value) == (0.0, (0.0, 0.0), 1.0)


def test_swapping_the_systems_turns_the_comparison_round():
    first, second = split(50, 4, 9, 10)
    made, turned = compare(first, second, (), seed=1), compare(second, first, (), seed=1)
    assert turned.difference == -made.difference
    assert turned.interval == pytest.approx((-made.interval[1], -made.interval[0]))
    assert turned.p_value == made.p_value


def test_one_person_behind_all_differences_widens_the_interval():
    first, second = split(180, 0, 20, 0)
    people = np.arange(200)
    people[second & ~first] = 999
    apart = compare(first, second, np.stack([np.arange(200)] * 2, axis=1))
    together = compare(first, second, np.stack([people] * 2, axis=1))
    assert together.difference == apart.difference
    assert together.interval[0] == 0.0 < apart.interval[0]


def test_equal_systems_are_seldom_told_apart():
    rng, runs = np.random.default_rng(0), 200
    outside = significant = 0
    for seed in range(runs):
        made = compare(*(rng.random((2, 300)) < 0.85), (), seed, replicates=200)
        outside += not made.interval[0] <= 0 <= made.interval[1]
        significant += made.p_value < 0.05
    print(outside, significant)
    assert outside <= 0.12 * runs
    assert significant <= 0.09 * runs


@pytest.mark.parametrize(
    ("first", "second"), [([True], [True, False]), ([], []), ([[True]], [[False]])]
)
def test_decisions_on_other_pairs_are_refused(first, second):
    with pytest.raises(BadInputError, match="pair by pair"):
        compare(np.array(first, bool), np.array(second, bool), ())


def test_identities_of_other_pairs_are_refused():
    with pytest.raises(BadInputError, match="not those of 3 pairs"):
        compare(np.ones(3, bool), np.zeros(3, bool), [(0, 1)])


@given(p_values)
def test_holm_lies_between_the_raw_value_and_bonferroni(raw):
    adjusted = holm(raw)
    assert len(adjusted) == len(raw)
    for before, after in zip(raw, adjusted, strict=True):
        assert before <= after <= min(1.0, before * len(raw))
    order = np.argsort(raw, kind="stable")
    assert np.all(np.diff(np.array(adjusted)[order]) >= 0)


@given(p_values, st.randoms())
def test_holm_does_not_hang_on_the_order(raw, random):
    adjusted = dict(zip(raw, holm(raw), strict=True))
    random.shuffle(raw)
    assert holm(raw) == [adjusted[value] for value in raw]


@given(p_values, st.floats(0.001, 0.2))
def test_holm_rejects_what_the_step_down_procedure_rejects(raw, level):
    rejected = 0
    while rejected < len(raw) and sorted(raw)[rejected] * (len(raw) - rejected) <= level:
        rejected += 1
    assert sum(value <= level for value in holm(raw)) == rejected


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.5]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
def test_what_is_no_p_value_is_refused(wrong):
    with pytest.raises(BadInputError, match="is no p-value"):
        holm([0.5, wrong])


@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 10]))
def test_decisions_give_back_the_accuracy_of_every_fold(seed, count):
    rng = np.random.default_rng(seed)
    same = rng.random(20 * count) < 0.5
    scores = rng.normal(0.3 * same, 0.2).astype(np.float32)
    # Fold numbers with gaps, in no order.
    folds = rng.permutation(np.arange(len(scores)) % count) * 3 + 1
    accuracies, thresholds = cross_validate(scores.astype(np.float64), same, folds)
    right = decisions(scores, folds, thresholds) == same
    assert [np.mean(right[folds == fold]) for fold in np.unique(folds)] == list(accuracies)


def test_neighbouring_single_precision_scores_are_told_apart():
    low = np.float32(0.5)
    high = np.nextafter(low, np.float32(1))
    scores = np.array([low, high])
    threshold = (float(low) + float(high)) / 2
    assert list(decisions(scores, np.array([0, 0]), [threshold])) == [False, True]


@pytest.mark.parametrize(("folds", "thresholds"), [([0, 1], [0.5]), ([0], [0.5]), ([0, 0], [])])
def test_thresholds_of_other_folds_are_refused(folds, thresholds):
    with pytest.raises(BadInputError, match="a threshold a fold"):
        decisions(np.array([0.1, 0.9]), np.array(folds), thresholds)
