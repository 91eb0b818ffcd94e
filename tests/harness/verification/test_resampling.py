"""Bootstrap intervals against resampled copies of the data, known truths and SciPy."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from facebench.architectures.errors import BadInputError, RefusedError
from facebench.harness.verification import resampling
from facebench.harness.verification.metrics import auc, eer, tar_at_far
from facebench.harness.verification.resampling import (
    bootstrap_intervals,
    identity_weights,
    pair_weights,
    percentile_interval,
)


def population(rng, people, genuine, impostors, effect=0.0):
    """Scores, labels and identities of pairs; some people are hard in all pairs they are in."""
    each = np.arange(people)
    first = np.concatenate([np.repeat(each, genuine), np.repeat(each, impostors)])
    other = (first + rng.integers(1, people, len(first))) % people
    same = np.arange(len(first)) < people * genuine
    second = np.where(same, first, other)
    own = rng.normal(0, effect, people)
    scores = rng.normal(2.0 * same) + np.where(same, -own[first], own[first] + own[second])
    return scores, same, np.stack([first, second], axis=1)


def whole(blocks):
    return np.concatenate(list(blocks))


def test_weights_are_products_of_how_often_each_person_is_drawn():
    identities = np.array([[7, 7], [7, 9], [9, 9], [40, 9], [40, 40]])
    weights = whole(identity_weights(identities, 500, seed=3))
    assert weights.shape == (500, 5)
    seven, nine, forty = weights[:, 0], weights[:, 2], weights[:, 4]
    np.testing.assert_array_equal(seven + nine + forty, 3)
    np.testing.assert_array_equal(weights[:, 1], seven * nine)
    np.testing.assert_array_equal(weights[:, 3], forty * nine)


def test_pairs_are_drawn_as_many_as_there_are():
    weights = whole(pair_weights(50, 400, seed=0))
    np.testing.assert_array_equal(weights.sum(axis=1), 50)
    assert weights.mean() == 1
    assert weights.var() == pytest.approx(1, abs=0.1)


def test_the_product_errs_on_the_safe_side_as_documented():
    identities = np.stack([np.arange(500), np.append(np.arange(1, 500), 0)], axis=1)
    sparse = whole(identity_weights(identities[::2], 1000, seed=0))
    assert sparse.mean() == pytest.approx(1, abs=0.05)
    assert sparse.var() == pytest.approx(3, abs=0.3)
    genuine = whole(identity_weights(identities[:, [0, 0]], 1000, seed=0))
    assert genuine.var() == pytest.approx(1, abs=0.1)


def test_intervals_of_sparse_pairs_are_wider_over_people():
    # As in LFW: half of the pairs genuine, nobody in many; sqrt((1 + 3) / 2) = 1.41.
    scores, same, identities = population(np.random.default_rng(1), 1500, 1, 1)
    widths = [
        np.ptp(bootstrap_intervals(scores, same, known, (), 500).auc) for known in (identities, ())
    ]
    assert 1.2 < widths[0] / widths[1] < 1.75


def test_the_same_seed_gives_the_same_weights():
    identities = np.arange(20).reshape(10, 2)
    first, again, other = (whole(identity_weights(identities, 9, seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


def test_the_size_of_blocks_changes_nothing(monkeypatch):
    scores, same, identities = population(np.random.default_rng(0), 30, 2, 4)
    everything = [bootstrap_intervals(scores, same, i, [0.1], 99) for i in (identities, ())]
    monkeypatch.setattr(resampling, "_BLOCK", 5 * len(scores))
    assert len(list(pair_weights(len(scores), 99, 0))) == 20
    blocks = [bootstrap_intervals(scores, same, i, [0.1], 99) for i in (identities, ())]
    assert blocks == everything


def copies(scores, same, weights):
    """The pairs themselves, each as often as its weight."""
    return np.repeat(scores, weights), np.repeat(same, weights)


def highest_tar(scores, same, far):
    """By trying every threshold; a draw may have too few impostor pairs for `tar_at_far`."""
    kept = [t for t in [*scores, np.inf] if np.mean(scores[~same] >= t) <= far + 1e-12]
    return max(np.mean(scores[same] >= t) for t in kept)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from([np.float32, np.float64]))
def test_a_draw_is_what_copies_of_its_pairs_give(seed, known, dtype):
    rng = np.random.default_rng(seed)
    scores, same, identities = population(rng, 12, 2, 5)
    # Rounded, so that scores tie.
    scores = np.round(scores, 1).astype(dtype)
    identities = identities if known else np.empty((0, 2), int)
    made = bootstrap_intervals(scores, same, identities, [0.2, 0.5], 20, seed=seed)
    _, blocks = resampling.draw(identities, len(scores), 20, seed)
    drawn = [copies(scores, same, weights) for weights in whole(blocks)]
    usable = [(s, x) for s, x in drawn if x.any() and not x.all()]
    assert made.replicates == len(usable)
    assert made.over == ("identities" if known else "pairs")
    assert made.auc == pytest.approx(percentile_interval(np.array([auc(*d) for d in usable])))
    assert made.eer == pytest.approx(percentile_interval(np.array([eer(*d) for d in usable])))
    for far in (0.2, 0.5):
        rates = np.array([highest_tar(*d, far) for d in usable])
        assert made.tar[far] == pytest.approx(percentile_interval(rates))


def test_an_interval_holds_the_figure_itself():
    scores, same, identities = population(np.random.default_rng(2), 100, 3, 3)
    for known in (identities, ()):
        made = bootstrap_intervals(scores, same, known, [0.05])
        assert made.tar[0.05][0] < tar_at_far(scores, same, 0.05).true_rate < made.tar[0.05][1]
        assert made.auc[0] < auc(scores, same) < made.auc[1]
        assert made.eer[0] < eer(scores, same) < made.eer[1]


def test_the_order_of_pairs_does_not_matter_where_people_are_known():
    rng = np.random.default_rng(0)
    scores, same, identities = population(rng, 30, 2, 4)
    shuffled = rng.permutation(len(scores))
    made = bootstrap_intervals(scores, same, identities, [0.1], 50)
    again = bootstrap_intervals(scores[shuffled], same[shuffled], identities[shuffled], [0.1], 50)
    assert made == again


def test_intervals_cover_the_truth_and_pairs_alone_do_not():
    rng, effect, runs = np.random.default_rng(5), 1.0, 150
    # Variance of a genuine score: 1 + effect^2; of an impostor score: 1 + 2 effect^2.
    truth = norm.cdf(2.0 / np.sqrt(2 + 3 * effect**2))
    covered = {"identities": 0, "pairs": 0}
    for seed in range(runs):
        scores, same, identities = population(rng, 40, 3, 3, effect)
        for known in (identities, ()):
            made = bootstrap_intervals(scores, same, known, (), 200, seed)
            covered[made.over] += made.auc[0] <= truth <= made.auc[1]
    print(covered)
    assert covered["identities"] >= 0.88 * runs
    assert covered["pairs"] <= 0.8 * runs


def test_intervals_over_pairs_cover_the_truth_of_independent_pairs():
    rng, runs = np.random.default_rng(6), 150
    hits = np.zeros(3)
    for seed in range(runs):
        scores, same, _ = population(rng, 60, 3, 3)
        made = bootstrap_intervals(scores, same, (), [0.1], 200, seed)
        truths = norm.cdf([2 / np.sqrt(2), -1.0, 2 + norm.ppf(0.1)])
        pairs = zip((made.auc, made.eer, made.tar[0.1]), truths, strict=True)
        hits += [low <= truth <= high for (low, high), truth in pairs]
    print(hits)
    assert np.all(hits >= 0.87 * runs)


def test_a_thousand_draws_of_six_thousand_pairs_take_under_three_seconds():
    scores, same, identities = population(np.random.default_rng(0), 3000, 1, 1)
    start = time.process_time()
    bootstrap_intervals(scores, same, identities, [1e-1, 1e-2, 1e-3])
    assert time.process_time() - start < 3


def test_draws_without_pairs_of_both_kinds_are_left_out_and_counted():
    # Two people: half of all draws show only one of them, and no impostor pair.
    scores, same = np.array([0.9, 0.8, 0.1]), np.array([True, True, False])
    identities = np.array([[0, 0], [1, 1], [0, 1]])
    made = bootstrap_intervals(scores, same, identities, (), 400)
    assert 150 < made.replicates < 250
    assert made.auc == (1.0, 1.0)
    seed = next(s for s in range(99) if not whole(identity_weights(identities, 1, s))[0, 2])
    with pytest.raises(BadInputError, match="draw more often"):
        bootstrap_intervals(scores, same, identities, (), 1, seed)


def test_unsupported_rates_are_refused():
    scores, same, identities = population(np.random.default_rng(0), 10, 1, 3)
    with pytest.raises(RefusedError, match=r"smallest that they support is 0\.1,"):
        bootstrap_intervals(scores, same, identities, [0.5, 0.01])
    with pytest.raises(BadInputError, match="between 0 and 1"):
        bootstrap_intervals(scores, same, identities, [1.0])


def test_identities_of_other_pairs_are_refused():
    scores, same, identities = population(np.random.default_rng(0), 10, 1, 3)
    with pytest.raises(BadInputError, match=r"shape \(39, 2\) are not those of 40 pairs"):
        bootstrap_intervals(scores, same, identities[1:])
    with pytest.raises(BadInputError, match="20 of 40 pairs are genuine between two people"):
        bootstrap_intervals(scores, same, np.roll(identities, 10, axis=0))


def test_no_draws_are_refused():
    with pytest.raises(BadInputError, match="draw at least once"):
        list(pair_weights(5, 0, 0))
    with pytest.raises(BadInputError, match="give at least one"):
        list(identity_weights(np.empty((0, 2), int), 5, 0))
