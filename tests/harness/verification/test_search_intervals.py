"""Intervals of searches over people: who is in them, and what people who go together make."""

from dataclasses import replace

import numpy as np
import pytest

from facebench.harness.verification.identification import blocks, join, search
from facebench.harness.verification.search_intervals import people_of, search_bounds


def faces(rng, people, each, noise, distractors=400, width=24):
    """Embeddings of so many images of each person, some people harder than others."""
    centres = rng.normal(size=(people, width))
    who = np.repeat(np.arange(people), each)
    hardness = noise * rng.gamma(2.0, 0.5, size=people)
    images = centres[who] + hardness[who, None] * rng.normal(size=(len(who), width))
    return images, who, rng.normal(size=(distractors, width))


def test_people_are_known_from_the_pairs():
    images, who, crowd = faces(np.random.default_rng(0), 30, 4, 0.5)
    order = np.random.default_rng(1).permutation(len(who))
    found = search(images[order], who[order], blocks(crowd))
    _, expected = np.unique(who[order], return_inverse=True)
    _, told = np.unique(people_of(found), return_inverse=True)
    assert len(set(zip(expected.tolist(), told.tolist(), strict=True))) == 30


def test_every_rate_has_an_interval_that_holds_it():
    images, who, crowd = faces(np.random.default_rng(0), 60, 6, 1.2)
    found = search(images, who, blocks(crowd))
    made = search_bounds(found)
    assert made.rank1.value == found.found_at[0] / found.mated_searches
    assert len(made.tpir) == len(found.tpir) > 0
    assert len(made.tar) == len(found.tar) > 0
    for one, point in zip((*made.tpir, *made.tar), (*found.tpir, *found.tar), strict=True):
        assert one.value == pytest.approx(point.true_rate)
        assert 0 <= one.interval[0] <= one.value <= one.interval[1] <= 1


def test_searches_of_one_person_are_not_independent():
    images, who, crowd = faces(np.random.default_rng(0), 40, 12, 1.2)
    found = search(images, who, blocks(crowd))
    rate, count = search_bounds(found).rank1.value, found.mated_searches
    low, high = search_bounds(found).rank1.interval
    assert high - low > 3 * 2 * 1.96 * np.sqrt(rate * (1 - rate) / count)


def test_a_search_without_errors_is_bounded_by_its_people():
    images, who, crowd = faces(np.random.default_rng(0), 50, 3, 0.01)
    made = search_bounds(search(images, who, blocks(crowd)))
    assert made.rank1.interval == pytest.approx((0.05 ** (1 / 50), 1.0))
    assert "50 people" in made.rank1.note


def test_too_few_people_have_no_interval():
    images, who, crowd = faces(np.random.default_rng(0), 10, 8, 1.2)
    made = search_bounds(search(images, who, blocks(crowd)))
    for one in (made.rank1, *made.tpir, *made.tar):
        assert one.interval is None
        assert "10 people are too few" in one.note


def test_each_of_the_highest_scores_knows_its_distractor():
    images, who, crowd = faces(np.random.default_rng(0), 20, 3, 0.5, distractors=3000)
    unit = [one / np.linalg.norm(one, axis=1, keepdims=True) for one in (images, crowd)]
    expected = np.argsort(-(unit[0] @ unit[1].T), axis=1)[:, :10]
    assert np.array_equal(search(images, who, blocks(crowd, 700)).whose, expected)
    parts = join(search(images, who, blocks(part)) for part in np.split(crowd, 3))
    assert np.array_equal(parts.whose, expected)


def test_searches_that_one_distractor_decides_go_together():
    # One distractor is the nearest of all failing searches, though these are of many people.
    images, who, crowd = faces(np.random.default_rng(0), 60, 2, 0.9)
    found = search(images, who, blocks(crowd))
    failing = found.pairs[found.genuine <= found.top[found.pairs[:, 0], 0]]
    whose = 1 + np.arange(found.whose.size).reshape(found.whose.shape)
    whose[failing, 0] = 0
    together = replace(found, whose=whose)
    apart, one = (search_bounds(each).rank1.interval for each in (found, together))
    assert one[1] - one[0] > apart[1] - apart[0]
