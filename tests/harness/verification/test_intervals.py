"""Intervals over people against known truths; how often they hold is `benchmarks/truth.py`'s."""

import time

import numpy as np
import pytest
from scipy.stats import beta, norm

from facebench.harness.records.pair_scores import PairScores
from facebench.harness.stats.clustered import ClusteredSpread
from facebench.harness.verification import intervals
from facebench.harness.verification.metrics import tar_at_far
from facebench.harness.verification.protocol import verify
from facebench.harness.verification.summary import summarise, what_is_chance


def packed(rng, people, each, effect=0.0, better=2.0, known=True):
    """Pairs of which some people are hard in all that they are in."""
    first = np.repeat(np.arange(people), 2 * each)
    same = np.arange(len(first)) % 2 == 0
    second = np.where(same, first, (first + rng.integers(1, people, len(first))) % people)
    own = rng.normal(0, effect, people)
    scores = rng.normal(better * same) + np.where(same, -own[first], own[first] + own[second])
    who = np.stack([first, second], axis=1) if known else []
    return PairScores.pack(scores / 10, same, np.arange(len(first)) % 10, who, "ab")


def separable(people, known=True):
    rng = np.random.default_rng(0)
    return packed(rng, people, 6, better=100.0, known=known)


def test_intervals_hold_the_truth_and_those_of_pairs_alone_do_not():
    rng, runs = np.random.default_rng(5), 150
    truth = norm.cdf(2.0 / np.sqrt(2 + 3))
    held, refused = {"identities": 0, "pairs": 0}, 0
    for _ in range(runs):
        made = packed(rng, 40, 6, effect=1.0)
        unknown = PairScores.pack(made.scores, made.same, made.folds, [], "ab")
        for pairs in (made, unknown):
            found = intervals.auc(pairs)
            refused += found.interval is None
            low, high = found.interval or (0.0, 1.0)
            held[pairs.over] += low <= truth <= high
    print(held, refused)
    assert refused < 0.1 * runs
    assert held["identities"] >= 0.9 * runs
    assert held["pairs"] <= 0.8 * runs


def test_the_order_of_pairs_does_not_matter():
    made = packed(np.random.default_rng(0), 60, 4, effect=0.5)
    order = np.random.default_rng(1).permutation(len(made))
    shuffled = PairScores.pack(
        made.scores[order], made.same[order], made.folds[order], made.identities[order], "ab"
    )
    for one, other in zip(figures(made), figures(shuffled), strict=True):
        assert one.interval == pytest.approx(other.interval)


def figures(pairs):
    found = summarise(pairs, (0.1,))
    return [rate.tar for rate in found.tar] + [found.auc, found.eer]


def test_what_errs_nowhere_has_an_exact_bound_over_people():
    for known, count in ((True, 60), (False, 360)):
        pairs = separable(60, known)
        score = verify(pairs, "", "none", 1.0)
        bound = 0.05 ** (1 / count)
        for one in (*figures(pairs), intervals.accuracy(score)):
            certain = (0.0, 1 - bound) if one.value == 0 else (bound, 1.0)
            assert one.interval == pytest.approx(certain)
            assert f"of {count} {'people' if known else 'pairs'}" in one.note


def test_too_few_people_have_no_interval():
    pairs = packed(np.random.default_rng(0), 19, 20)
    for one in (*figures(pairs), intervals.accuracy(verify(pairs, "", "none", 1.0))):
        assert one.interval is None
        assert "19 people are too few" in one.note


def test_an_auc_that_a_few_people_carry_is_refused_with_how_many_are_needed():
    rng = np.random.default_rng(3)
    made = packed(rng, 40, 20, better=12.0)
    scores, who = made.scores.copy(), made.identities
    scores[made.same & (who[:, 0] < 1)] = -1.0
    found = intervals.auc(PairScores.pack(scores, made.same, made.folds, who, "ab"))
    assert found.interval is None
    assert "of 40 people" in found.note
    assert "people would decide" in found.note


def test_the_threshold_is_part_of_what_is_not_known():
    # Genuine scores all alike: at a fixed threshold TAR would be certain.
    rng = np.random.default_rng(0)
    pairs = packed(rng, 2000, 1, better=3.0)
    point = tar_at_far(pairs.scores, pairs.same, 0.01)
    low, high = intervals.tar(pairs, point).interval
    fixed = np.sqrt(point.true_rate * (1 - point.true_rate) / point.trials)
    assert high - low > 1.3 * 2 * 1.96 * fixed


def test_the_ranks_of_a_threshold_are_the_quantiles_of_beta():
    count, rate = 3000, 0.01
    scores = -np.arange(1.0, count + 1)  # the r-th highest is -r
    independent = ClusteredSpread(1.0, 1.0, 1e12)
    high, low = intervals.threshold_interval(scores, count, rate, independent)
    assert beta.cdf(rate, -high, count + high + 1) == pytest.approx(0.975, abs=1e-3)
    assert beta.cdf(rate, -low, count + low + 1) == pytest.approx(0.025, abs=1e-3)


def test_above_the_highest_score_the_tail_goes_on():
    scores = np.sort(np.random.default_rng(0).exponential(size=3000))[::-1]
    high, _ = intervals.threshold_interval(scores, 3000, 0.001, ClusteredSpread(1.0, 1.0, 1e12))
    # P(no score above t where the true rate is 0.001) = 0.0498: t must lie above the highest.
    assert scores[0] < high < scores[0] + 1.5


def test_a_summary_says_what_it_takes_for_chance():
    rng = np.random.default_rng(0)
    named = packed(rng, 50, 3)
    grouped = PairScores.pack(
        named.scores, named.same, named.folds, named.identities, "ab", recovered=True
    )
    unknown = packed(rng, 50, 3, known=False)
    said = [what_is_chance(s.over, s.people) for s in map(summarise, (named, grouped, unknown))]
    assert said[0] == "Intervals are over 50 people."
    assert "50 groups of images" in said[1]
    assert "too narrow" in said[2]


def test_six_thousand_pairs_take_under_a_second():
    pairs = packed(np.random.default_rng(0), 3000, 1)
    start = time.process_time()
    summarise(pairs, (1e-1, 1e-2, 1e-3))
    assert time.process_time() - start < 1


def test_scores_that_are_all_the_same_have_no_interval():
    first, places = np.repeat(np.arange(40), 4), np.arange(160)
    same = places % 2 == 0
    who = np.stack([first, np.where(same, first, (first + 1) % 40)], axis=1)
    found = intervals.auc(PairScores.pack(np.full(160, 0.5), same, places % 10, who, "ab"))
    assert (found.value, found.interval) == (0.5, None)
