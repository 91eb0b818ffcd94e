"""Paired comparison against SciPy, closed forms and simulated systems."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm

from facebench.architectures.errors import BadInputError
from facebench.harness.records.comparable import Decisions
from facebench.harness.verification.folds import cross_validate, decisions
from facebench.harness.verification.paired import compare, holm, mcnemar

p_values = st.lists(st.floats(0, 1), max_size=12)


def split(both, only_first, only_second, neither):
    counts = [both, only_first, only_second, neither]
    return (
        decided(np.repeat([True, True, False, False], counts)),
        decided(np.repeat([1, 0, 1, 0], counts) == 1),
    )


def decided(right):
    """Decisions whose thresholds cost nothing."""
    return Decisions(np.asarray(right), np.zeros(10))


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
    assert made.mcnemar == pytest.approx(binomtest(3, 15).pvalue)
    assert made.over == "pairs"


def test_over_many_independent_pairs_it_is_the_normal_interval_and_test():
    made = compare(*split(80000, 4000, 4200, 7000), ())
    deviation = np.sqrt((8200 / 95200 - made.difference**2) / 95200)
    expected = norm.interval(0.95, made.difference, deviation)
    assert made.interval == pytest.approx(expected, rel=1e-2)
    assert made.p_value == pytest.approx(2 * norm.sf(200 / np.sqrt(8200)), rel=2e-2)


@given(st.integers(0, 2**32 - 1), st.floats(0.0, 0.1), st.integers(20, 200))
def test_the_interval_leaves_out_zero_just_where_the_test_rejects(seed, better, people):
    rng = np.random.default_rng(seed)
    identities = rng.integers(0, people, (400, 2))
    first, second = (decided(rng.random(400) < share) for share in (0.85, 0.85 + better))
    made = compare(first, second, identities)
    low, high = made.interval
    assert (not low <= 0 <= high) == (made.p_value < 0.05)
    assert -1 <= low <= made.difference <= high <= 1


def test_equal_decisions_are_not_certain():
    first, _ = split(9000, 1000, 0, 300)
    many = compare(first, first, ())
    assert (many.difference, many.p_value) == (0.0, 1.0)
    assert 0 < many.interval[1] == -many.interval[0] < 0.001
    who = np.arange(10300) % 30
    few = compare(first, first, np.stack([who, who], axis=1))
    assert few.people == 30
    # No difference in 30 people: the score's bound is z^2 / (30 + z^2).
    assert few.interval[1] == pytest.approx(1.96**2 / (30 + 1.96**2), rel=1e-3)


def test_swapping_the_systems_turns_the_comparison_round():
    first, second = split(50, 4, 9, 10)
    made, turned = compare(first, second, ()), compare(second, first, ())
    assert turned.difference == -made.difference
    assert turned.interval == pytest.approx((-made.interval[1], -made.interval[0]))
    assert turned.p_value == pytest.approx(made.p_value)


def test_one_person_behind_all_differences_decides_nothing():
    first, second = split(180, 0, 20, 0)
    people = np.arange(200)
    apart = compare(first, second, np.stack([people, people], axis=1))
    people[second.right & ~first.right] = 999
    together = compare(first, second, np.stack([people, people], axis=1))
    assert together.difference == apart.difference
    assert apart.p_value < 0.001
    assert together.p_value > 0.05


def test_too_few_people_decide_nothing():
    first, second = split(100, 0, 90, 10)
    who = np.arange(200) % 19
    made = compare(first, second, np.stack([who, who], axis=1))
    assert made.refused == "19 people are too few for an interval that holds: it needs 20"
    assert (made.interval, made.p_value) == ((-1.0, 1.0), 1.0)


def test_thresholds_that_cost_differently_widen_the_interval():
    first, second = split(800, 60, 100, 40)
    plain = compare(first, second, ())
    lost = np.array([0.02, -0.02] * 5)
    chosen = compare(first, Decisions(second.right, lost), ())
    unknown = compare(first, Decisions(second.right, np.zeros(0)), ())
    width = np.ptp(plain.interval)
    assert np.ptp(chosen.interval) > 1.1 * width
    # Half as much variance again.
    assert np.ptp(unknown.interval) == pytest.approx(np.sqrt(1.5) * width, rel=0.02)


@pytest.mark.parametrize(
    ("first", "second"), [([True], [True, False]), ([], []), ([[True]], [[False]])]
)
def test_decisions_on_other_pairs_are_refused(first, second):
    with pytest.raises(BadInputError, match="pair by pair"):
        compare(decided(np.array(first, bool)), decided(np.array(second, bool)), ())


def test_identities_of_other_pairs_are_refused():
    with pytest.raises(BadInputError, match="not those of 3 pairs"):
        compare(decided(np.ones(3, bool)), decided(np.zeros(3, bool)), [(0, 1)])


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
