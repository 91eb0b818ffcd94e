"""Scores normalized by a cohort, and pairs of poor quality left out, beside plain loops."""

import numpy as np
import pytest

from facebench.architectures.errors import BadInputError, RefusedError
from facebench.harness.records.pair_scores import PairScores
from facebench.harness.verification.metrics import tar_at_far
from facebench.harness.verification.normalization import METHODS, cohort_statistics, normalized
from facebench.harness.verification.rejection import read_quality, reject_curve


def cosine(one, two):
    return one @ two / np.linalg.norm(one) / np.linalg.norm(two)


@pytest.mark.parametrize("method", METHODS)
def test_a_score_is_in_deviations_above_those_with_strangers(method):
    rng = np.random.default_rng(0)
    images, cohort = rng.normal(0.3, 1, (6, 8)), rng.normal(0.3, 2, (30, 8))
    pairs = np.array([[0, 1], [2, 3], [5, 5]])
    scores = np.array([cosine(images[i], images[j]) for i, j in pairs])
    found = normalized(scores, pairs, cohort_statistics(images, cohort), method)
    for score, (i, j), value in zip(scores, pairs, found, strict=True):
        both = []
        for image in (images[i], images[j]):
            others = [cosine(image, stranger) for stranger in cohort]
            both.append((score - np.mean(others)) / np.std(others, ddof=1))
        expected = {"z": both[0], "t": both[1], "s": np.mean(both)}[method]
        assert value == pytest.approx(expected, rel=1e-4)


def test_an_image_like_everybody_no_longer_scores_high_with_everybody():
    """What normalization is for: an offset of an image is taken out."""
    rng = np.random.default_rng(1)
    common = np.full(16, 1.0)
    images = rng.standard_normal((40, 16)) + common * rng.uniform(0, 3, (40, 1))
    cohort = rng.standard_normal((200, 16)) + common
    i, j = np.triu_indices(40, 1)
    scores = np.array([cosine(images[a], images[b]) for a, b in zip(i, j, strict=True)])
    made = normalized(scores, np.stack([i, j], 1), cohort_statistics(images, cohort), "s")
    offsets = [np.mean(values[(i == 0) | (j == 0)]) for values in (scores, made)]
    means = np.array([[v[(i == k) | (j == k)].mean() for k in range(40)] for v in (scores, made)])
    spread = means.std(axis=1) / np.array([scores.std(), made.std()])
    assert spread[1] < spread[0]
    assert np.isfinite(offsets).all()


def test_a_small_cohort_is_refused():
    with pytest.raises(BadInputError, match="a cohort of 5 images knows no deviation"):
        cohort_statistics(np.ones((2, 3)), np.eye(5, 3) + 1)


def pairs_of(scores, same):
    people = [(2 * n, 2 * n if flag else 2 * n + 1) for n, flag in enumerate(same)]
    return PairScores.pack(scores, same, np.arange(len(same)) % 10, people, "d")


def test_the_rate_that_remains_is_counted_at_the_threshold_of_all_pairs():
    rng = np.random.default_rng(2)
    same = np.arange(800) % 2 == 0
    quality = rng.random(800)
    # The worse the image, the lower a genuine pair's score.
    scores = np.float32(rng.normal(0, 0.15, 800) + same * (0.3 + 0.5 * quality))
    pairs = pairs_of(scores, same)
    found = reject_curve(pairs, quality, 0.01)
    threshold = tar_at_far(scores, same, 0.01).threshold
    for share, frr in zip(found.shares, found.frr, strict=True):
        stay = quality >= np.sort(quality)[int(share * 800)]
        assert frr.value == pytest.approx(np.mean(scores[stay & same] < threshold))
    rates = [frr.value for frr in found.frr]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < rates[0] / 2


def test_a_far_that_is_not_supported_and_a_missing_quality_are_refused():
    pairs = pairs_of(np.linspace(0, 1, 40), np.arange(40) % 2 == 0)
    with pytest.raises(RefusedError, match="isn't supported"):
        reject_curve(pairs, np.arange(40.0), 0.01)
    with pytest.raises(BadInputError, match="1 of 40 pairs have no quality"):
        reject_curve(pairs, np.append(np.arange(39.0), np.nan), 0.5)


def test_quality_is_read_from_a_file_and_a_bad_line_named(tmp_path):
    path = tmp_path / "quality.csv"
    path.write_text("image,quality\na/1.jpg,0.5\nb/2.jpg,-3\n")
    assert read_quality(path) == {"a/1.jpg": 0.5, "b/2.jpg": -3.0}
    for text, sentence in (
        ("image;quality\n", "line 1 must be image,quality"),
        ("image,quality\na,b\n", "line 2 must be an image and a number"),
        ("image,quality\na,1,2\n", "line 2 must be an image and a number"),
    ):
        path.write_text(text)
        with pytest.raises(BadInputError, match=sentence):
            read_quality(path)
