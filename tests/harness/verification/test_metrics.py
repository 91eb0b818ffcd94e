"""Verification metrics against scikit-learn, SciPy, brute force and closed forms."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import roc_auc_score, roc_curve

from facebench.architectures.errors import BadInputError, RefusedError
from facebench.harness.verification import metrics
from facebench.harness.verification.folds import cross_validate
from facebench.harness.verification.metrics import (
    auc,
    d_prime,
    det,
    eer,
    histogram,
    roc,
    smallest_far,
    tar_at_far,
)

# Tenths tie often; other numbers seldom do.
some_scores = st.floats(-1, 1, width=32) | st.sampled_from([-0.5, 0.0, 0.1, 0.25, 0.5])


@st.composite
def scored(draw, genuine=1, impostors=1, most=30):
    def kind(least):
        return draw(st.lists(some_scores, min_size=least, max_size=least + most))

    first, second = kind(genuine), kind(impostors)
    same = np.arange(len(first) + len(second)) < len(first)
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    return np.array(first + second, dtype), same


def gaussian(seed, genuine=400, impostors=600, dtype=np.float64):
    rng = np.random.default_rng(seed)
    same = np.arange(genuine + impostors) < genuine
    return rng.normal(0.4 * same, 0.2).astype(dtype), same


@given(scored())
def test_roc_and_auc_agree_with_scikit_learn(data):
    scores, same = data
    curve = roc(scores, same)
    far, tar, thresholds = roc_curve(same, scores, drop_intermediate=False)
    np.testing.assert_array_equal(curve.thresholds, thresholds)
    np.testing.assert_allclose(curve.far, far, rtol=1e-15)
    np.testing.assert_allclose(curve.tar, tar, rtol=1e-15)
    assert (curve.far[0], curve.tar[0], curve.far[-1], curve.tar[-1]) == (0, 0, 1, 1)
    assert auc(scores, same) == pytest.approx(roc_auc_score(same, scores), abs=1e-12)


@given(scored(impostors=4), st.floats(0.001, 0.999))
def test_no_lower_threshold_keeps_the_rate(data, far):
    scores, same = data
    impostors = int(np.sum(~same))
    if far * impostors < 3.001:
        far = (3.001 + (impostors - 3.001) * far) / impostors
    point = tar_at_far(scores, same, far)
    assert np.sum(scores[~same] >= point.threshold) <= far * impostors
    assert point.accepted == np.sum(scores[same] >= point.threshold)
    assert point.trials == np.sum(same)
    assert point.rate == far
    # The next lower threshold that makes a difference accepts too many.
    (below,) = (scores[scores < point.threshold],)
    assert np.sum(scores[~same] >= below.max()) > far * impostors


@given(scored(impostors=10))
def test_single_and_double_precision_decide_the_same(data):
    scores, same = data
    scores = scores.astype(np.float32)
    threshold = tar_at_far(scores, same, 0.35 if np.sum(~same) < 30 else 0.1).threshold
    np.testing.assert_array_equal(scores >= threshold, scores.astype(np.float64) >= threshold)


def test_neighbouring_single_precision_scores_are_parted():
    low = np.float32(0.5)
    scores = np.array([low] * 5 + [np.nextafter(low, np.float32(1))] * 4, np.float32)
    same = np.array([False] * 5 + [True] + [False] * 3)
    point = tar_at_far(scores, same, 3 / 8)
    assert point.accepted == 1
    assert np.sum(scores >= point.threshold) == 4


@pytest.mark.parametrize(
    ("scores", "far", "threshold", "accepted"),
    [
        # Ten impostors, genuine pairs at 0.65 and 0.95. Three may pass: midway between the
        # fourth and what is next above it, which is the genuine pair.
        (np.arange(10) / 10, 0.3, 0.625, 2),
        (np.arange(10) / 10, 0.4, 0.55, 2),
        # The highest four tie: all four or none.
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.8, 0.8, 0.8, 0.8], 0.3, 0.875, 1),
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.8, 0.8, 0.8, 0.8], 0.4, 0.575, 2),
        # All impostors tie above everything: only a threshold just above keeps the rate.
        ([1.0] * 10, 0.9, np.nextafter(1.0, 2), 0),
    ],
)
def test_ties_and_midpoints(scores, far, threshold, accepted):
    same = np.arange(12) >= 10
    point = tar_at_far(np.append(scores, [0.65, 0.95]), same, far)
    assert point.threshold == pytest.approx(threshold, rel=1e-15)
    assert point.accepted == accepted
    assert point.true_rate == accepted / 2


@given(st.integers(4, 5000), st.data())
def test_a_rate_meant_as_a_count_allows_that_count(impostors, data):
    count = data.draw(st.integers(3, impostors - 1))
    scores = np.append(np.arange(impostors), -1.0)
    point = tar_at_far(scores, scores < 0, count / impostors)
    assert np.sum(scores >= point.threshold) == count


def test_the_rates_of_lfw_are_exact():
    scores = np.append(np.arange(3000.0), 2998.0)
    same = np.arange(3001) == 3000
    for far, count in [(1e-3, 3), (0.0011, 3), (0.00134, 4), (0.01, 30), (0.07, 210), (0.29, 870)]:
        threshold = tar_at_far(scores, same, far).threshold
        assert np.sum(scores[~same] >= threshold) == count


def test_too_small_a_rate_is_refused_with_the_smallest_that_is_supported():
    scores, same = gaussian(0, impostors=3000)
    with pytest.raises(RefusedError, match="FAR of 0.0001 isn't supported by 3000") as refusal:
        tar_at_far(scores, same, 1e-4)
    assert "support is 0.001, and 0.0001 needs 30000 of them" in str(refusal.value)
    assert smallest_far(3000) == 1e-3


@given(st.integers(4, 10**6))
def test_the_rate_and_the_count_that_a_refusal_names_are_not_refused(impostors):
    with pytest.raises(RefusedError) as refusal:
        metrics.check_far(2.9 / impostors, impostors)
    words = str(refusal.value).replace(",", "").split()
    named = float(words[words.index("is", words.index("smallest")) + 1])
    assert named >= smallest_far(impostors) * (1 - 1e-12)
    if named < 1:
        metrics.check_far(named, impostors)
    metrics.check_far(2.9 / impostors, int(words[words.index("needs") + 1]))


@pytest.mark.parametrize("impostors", [1, 2, 3])
def test_three_impostors_support_no_rate(impostors):
    with pytest.raises(RefusedError, match="the smallest that they support is 1,"):
        metrics.check_far(0.999, impostors)


@pytest.mark.parametrize("far", [0, 1, -0.1, 2, np.nan])
def test_what_is_no_rate_is_refused(far):
    with pytest.raises(BadInputError, match="between 0 and 1"):
        tar_at_far(*gaussian(0), far)


@given(scored())
def test_the_equal_error_lies_between_the_rates_on_either_side(data):
    scores, same = data
    rate = eer(scores, same)
    curve = roc(scores, same)
    after = np.argmax(curve.far + curve.tar >= 1)
    assert curve.far[after - 1] - 1e-12 <= rate <= curve.far[after] + 1e-12
    assert 1 - curve.tar[after] - 1e-12 <= rate <= 1 - curve.tar[after - 1] + 1e-12
    # FAR = FRR on the line that joins the points.
    assert np.interp(rate, curve.far[after - 1 : after + 1], curve.tar[after - 1 : after + 1]) == (
        pytest.approx(1 - rate)
    ) or curve.far[after - 1] == curve.far[after] == pytest.approx(rate)


@pytest.mark.parametrize(
    ("genuine", "impostors", "expected"),
    [
        ([0.8, 0.9], [0.1, 0.2], 0.0),
        ([0.1, 0.2], [0.8, 0.9], 1.0),
        ([0.5], [0.5], 0.5),
        # At 0.4 FAR and FRR are both 1/4.
        ([0.3, 0.6, 0.7, 0.8], [0.1, 0.2, 0.2, 0.4], 0.25),
        # FAR goes from 0 to 1 at 0.5, FRR from 1/3 to 0: they meet at 1/4.
        ([0.5, 0.6, 0.7], [0.5, 0.5], 0.25),
    ],
)
def test_equal_error_by_hand(genuine, impostors, expected):
    same = np.arange(len(genuine) + len(impostors)) < len(genuine)
    assert eer(np.array(genuine + impostors), same) == pytest.approx(expected)


@given(scored(impostors=7))
def test_rising_transforms_change_no_rate(data):
    scores, same = data
    # Exact in floating point, so that no two scores come to tie.
    moved = scores.astype(np.float64) * 4
    bent = np.where(moved > 0, moved * 2, moved)
    assert auc(bent, same) == auc(scores, same)
    assert eer(bent, same) == eer(scores, same)
    assert tar_at_far(bent, same, 0.5).accepted == tar_at_far(scores, same, 0.5).accepted


@given(scored())
def test_swapping_the_kinds_turns_the_scores_round(data):
    scores, same = data
    assert auc(scores, same) == pytest.approx(auc(-scores, ~same))
    assert eer(scores, same) == pytest.approx(eer(-scores, ~same))
    assert auc(scores, same) + auc(-scores, same) == pytest.approx(1)


def test_normal_scores_give_their_closed_forms():
    # Distance 2 standard deviations, at evenly spaced quantiles.
    quantiles = norm.ppf((np.arange(20000) + 0.5) / 20000)
    scores = np.concatenate([0.4 + 0.2 * quantiles, 0.2 * quantiles])
    same = np.arange(40000) < 20000
    assert auc(scores, same) == pytest.approx(norm.cdf(2 / np.sqrt(2)), abs=1e-4)
    assert eer(scores, same) == pytest.approx(norm.cdf(-1), abs=1e-4)
    assert d_prime(scores, same) == pytest.approx(2, abs=1e-3)
    assert tar_at_far(scores, same, 0.01).true_rate == pytest.approx(
        norm.cdf(2 + norm.ppf(0.01)), abs=1e-3
    )
    curve = det(scores, same)
    # Straight: the two deviates add up to the distance.
    middle = np.abs(curve.far) < 2
    np.testing.assert_allclose((curve.far + curve.frr)[middle & (curve.frr > -2)], -2, atol=0.01)


@given(scored())
def test_det_has_finite_points_only(data):
    curve = det(*data)
    assert len(curve.far) == len(curve.frr)
    assert np.all(np.isfinite(curve.far))
    assert np.all(np.isfinite(curve.frr))
    assert np.all(np.diff(curve.far) >= 0)
    assert np.all(np.diff(curve.frr) <= 0)


def test_d_prime_by_hand():
    scores, same = np.array([3.0, 5.0, 0.0, 2.0]), np.array([True, True, False, False])
    assert d_prime(scores, same) == pytest.approx(3 / np.sqrt(2))
    assert d_prime(-scores, same) == pytest.approx(-3 / np.sqrt(2))


@pytest.mark.parametrize(
    ("scores", "same"), [([0.1, 0.2, 0.3], [1, 0, 0]), ([0.1, 0.1, 0.3, 0.3], [0, 0, 1, 1])]
)
def test_d_prime_without_spread_is_refused(scores, same):
    with pytest.raises(BadInputError, match="at least two of each"):
        d_prime(np.array(scores), np.array(same, bool))


@given(scored(), st.integers(1, 20))
def test_a_histogram_holds_every_pair(data, bins):
    scores, same = data
    counted = histogram(scores, same, bins)
    assert len(counted.edges) == bins + 1
    assert counted.genuine.sum() == same.sum()
    assert counted.impostor.sum() == (~same).sum()


def test_a_histogram_without_bins_is_refused():
    with pytest.raises(BadInputError, match="0 bins"):
        histogram(*gaussian(0), bins=0)


@pytest.mark.parametrize("kind", [True, False])
@pytest.mark.parametrize(
    "metric",
    [
        roc,
        auc,
        eer,
        det,
        d_prime,
        lambda s, x: tar_at_far(s, x, 0.5),
        lambda s, x: histogram(s, x, 3),
    ],
)
def test_pairs_of_one_kind_are_refused(metric, kind):
    with pytest.raises(
        BadInputError, match=r"\d genuine and \d impostor pairs have no error rates"
    ):
        metric(np.array([0.1, 0.2]), np.array([kind, kind]))


@pytest.mark.parametrize("kind", [True, False])
def test_pairs_of_one_kind_have_no_accuracy(kind):
    with pytest.raises(BadInputError, match=r"\d genuine and \d impostor pairs have no accuracy"):
        cross_validate(np.array([0.1, 0.2]), np.array([kind, kind]), np.array([0, 1]))


@pytest.mark.parametrize(
    ("scores", "same", "sentence"),
    [
        ([0.1, np.nan, np.inf], [True, False, False], "2 of 3 scores are not finite"),
        ([0.1, 0.2], [True], r"shape \(2,\) and labels of shape \(1,\)"),
        ([[0.1, 0.2]], [[True, False]], "one of each a pair"),
        ([], [], "0 genuine and 0 impostor"),
    ],
)
def test_arrays_that_are_no_scores_are_refused(scores, same, sentence):
    with pytest.raises(BadInputError, match=sentence):
        auc(np.array(scores), np.array(same))


def test_whole_numbers_are_scores():
    assert auc([1, 2, 3], [False, False, True]) == 1.0


def test_neither_torch_nor_tvm_is_imported():
    code = (
        "import sys, facebench.harness.verification.paired\n"
        "print([m for m in ('torch', 'tvm', 'scipy.stats') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
