"""Search among distractors against a whole score matrix in float64, and closed forms."""

import tempfile
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facebench.architectures.errors import BadInputError, RefusedError
from facebench.harness.records.accuracy import OperatingPoint
from facebench.harness.verification import identification, tiles
from facebench.harness.verification.identification import blocks, search
from tests.progress import Told


def naive(probes, people, distractors, digits=None):
    """found_at, and the points (one in, accepted, trials) of FPIR and FAR."""

    def unit(x):
        return np.asarray(x, float) / np.linalg.norm(np.asarray(x, float), axis=1, keepdims=True)

    mates, impostors = unit(probes) @ unit(probes).T, unit(probes) @ unit(distractors).T
    if digits is not None:
        mates, impostors = mates.round(digits), impostors.round(digits)
    count = range(len(people))
    searches = [(i, j) for i in count for j in count if i != j and people[i] == people[j]]
    as_high = [np.sum(impostors[i] >= mates[i, j]) for i, j in searches]
    found_at = tuple(sum(n < rank for n in as_high) for rank in range(1, 11))
    first = [mates[s] for s, n in zip(searches, as_high, strict=True) if n == 0]
    genuine = [mates[i, j] for i, j in searches if i < j]
    tops = impostors.max(axis=1)
    tpir = points((10, 100, 1000), tops, first, len(searches))
    far = points((10**3, 10**4, 10**5, 10**6), impostors.ravel(), genuine, len(genuine))
    return found_at, tpir, far


def points(one_in, false, true, trials):
    found = []
    for n in one_in:
        if len(false) >= 3 * n:
            # The highest score that must not pass.
            highest = np.sort(false)[::-1][len(false) // n]
            found.append((1 / n, int(np.sum(np.array(true) > highest)), trials))
    return found


def summary(found):
    def short(points):
        return [(p.rate, p.accepted, p.trials) for p in points]

    return found.found_at, short(found.tpir), short(found.tar)


@st.composite
def grids(draw):
    """Embeddings of few distinct directions: ties abound, and all others are far apart."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    people = np.array(draw(st.lists(st.integers(0, 4), min_size=2, max_size=45)))
    people[1] = people[0]
    width = draw(st.integers(1, 5))

    def some(n):
        made = rng.integers(-2, 3, size=(n, width))
        made[~made.any(axis=1), 0] = 1
        return made.astype(np.float32)

    return some(len(people)), people, some(draw(st.integers(1, 80)))


@settings(deadline=None, max_examples=50)
@given(grids(), st.integers(1, 90))
def test_ties_and_duplicates_agree_with_the_whole_matrix(made, size):
    probes, people, distractors = made
    found = search(probes, people, blocks(distractors, size))
    # Cosines that are equal in exact arithmetic tie only once they are rounded.
    exact = search_rounded(found, probes, people, distractors)
    assert exact == naive(probes, people, distractors, digits=5)


def search_rounded(found, probes, people, distractors):
    """The same search with scores rounded as the naive one does."""
    rounded = identification.Search(
        found.identities,
        found.distractors,
        found.pairs,
        found.genuine.round(5),
        found.top.round(5),
        found.whose,
        found.impostors.round(5),
        found.seconds,
    )
    return summary(rounded)


@settings(deadline=None, max_examples=10)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(2, 700),
    st.integers(1, 3000),
    st.integers(1, 24),
    st.data(),
)
def test_any_sizes_agree_with_the_whole_matrix(seed, count, total, width, data):
    rng = np.random.default_rng(seed)
    people = rng.integers(0, 1 + count // 3, count)
    people[1] = people[0]
    centres = rng.normal(size=(people.max() + 1, 8 * width))
    probes = (centres[people] + rng.normal(size=(count, 8 * width))).astype(np.float32)
    distractors = rng.normal(size=(total, 8 * width)).astype(np.float32)
    found = search(probes, people, blocks(distractors, data.draw(st.integers(1, total))))
    for got, wanted in zip(
        flat(summary(found)), flat(naive(probes, people, distractors)), strict=True
    ):
        # A score in 1e5 lies so close to another that float32 may swap them.
        assert got == pytest.approx(wanted, abs=1)


def flat(found):
    found_at, *rates = found
    return [*found_at, *(x for points in rates for point in points for x in point)]


@settings(deadline=None, max_examples=12)
@given(st.lists(st.integers(0, 900), min_size=1, max_size=5), st.integers(2, 100))
def test_the_result_does_not_hang_on_the_blocks(sizes, count):
    rng = np.random.default_rng(len(sizes))
    probes = rng.normal(size=(count, 16)).astype(np.float32)
    distractors = rng.normal(size=(sum(sizes) + 1, 16)).astype(np.float32)
    people = np.arange(count) // 2
    cut = np.split(distractors, np.cumsum(sizes))
    one, many = search(probes, people, [distractors]), search(probes, people, cut)
    for name in ("pairs", "genuine", "top", "impostors"):
        np.testing.assert_array_equal(getattr(one, name), getattr(many, name))


@settings(deadline=None, max_examples=25)
@given(grids(), st.integers(1, 4), st.integers(1, 9))
def test_shards_that_are_joined_are_one_search(made, shards, kept):
    probes, people, distractors = made
    parts = [distractors[shard::shards] for shard in range(shards)]
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(tiles, "KEPT", kept)
        whole = search(probes, people, [distractors])
        found = []
        for part in filter(len, parts):
            identification.save(search(probes, people, [part]), Path(folder))
            found.append(identification.load(Path(folder)))
        joined = identification.join(found)
    for name in ("pairs", "genuine", "top", "impostors"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(joined, name))
    assert summary(whole) == summary(joined)
    assert whole.distractors == joined.distractors
    assert joined.seconds == pytest.approx(sum(part.seconds for part in found))


def test_shards_from_machines_that_add_up_differently_are_not_joined():
    probes, people = np.eye(4)[[0, 0, 1, 1]], [0, 0, 1, 1]
    one = search(probes, people, [np.eye(4)[2:]])
    other = replace(one, genuine=np.nextafter(one.genuine, np.float32(0)))
    with pytest.raises(RefusedError, match="differ in the last bits: search on machines of one"):
        identification.join([one, other])


def test_the_highest_scores_are_kept_and_rates_that_need_more_left_out(monkeypatch):
    rng = np.random.default_rng(0)
    probes, distractors = rng.normal(size=(300, 8)), rng.normal(size=(5000, 8))
    people = np.arange(300) // 3
    everything = search(probes, people, [distractors])
    monkeypatch.setattr(tiles, "KEPT", 1000)
    few = search(probes, people, [distractors])
    assert len(everything.impostors) == 1_500_000
    np.testing.assert_array_equal(few.impostors, everything.impostors[:1000])
    np.testing.assert_array_equal(few.top, everything.top)
    # A FAR of 1e-3 allows 1500 of 1,500,000.
    assert few.tar == everything.tar[1:]
    assert [point.rate for point in few.tar] == [1e-4, 1e-5]


def test_more_probes_than_one_product_takes(monkeypatch):
    rng = np.random.default_rng(0)
    probes, distractors = rng.normal(size=(1300, 8)), rng.normal(size=(1500, 8))
    people = rng.integers(0, 300, 1300)
    whole = search(probes, people, [distractors])
    monkeypatch.setattr(tiles, "MOST_ROWS", 512)
    parts = search(probes, people, [distractors])
    assert summary(parts) == summary(whole)
    np.testing.assert_array_equal(parts.pairs, whole.pairs)


def test_a_distractor_equal_to_the_mate_ties_wherever_it_stands():
    rng = np.random.default_rng(0)
    probes = rng.normal(size=(700, 128)).astype(np.float32)
    people = np.arange(700) // 2
    for shift in (0, 1, 97, 515, 1023):
        distractors = np.concatenate([rng.normal(size=(shift, 128)), probes]).astype(np.float32)
        # Every mate is among the distractors; the probe itself is there too, and scores higher.
        found = search(probes, people, blocks(distractors, 333))
        assert found.found_at[:2] == (0, 0)


def test_a_constant_network_finds_nobody():
    rng = np.random.default_rng(0)
    face = rng.normal(size=128).astype(np.float32)
    found = search(np.tile(face, (3000, 1)), np.arange(3000) // 2, [np.tile(face, (40, 1))])
    assert found.found_at == (0,) * 10
    assert [point.true_rate for point in found.tpir] == [0, 0, 0]
    assert [point.true_rate for point in found.tar] == [0, 0]


def test_a_perfect_network_finds_everybody():
    people = np.arange(60) // 2
    found = search(np.eye(40)[people], people, [np.eye(40)[30:]])
    assert found.found_at == (60,) * 10
    just_above = float(np.nextafter(np.float32(0), np.float32(1)))
    assert found.tpir == (OperatingPoint(0.1, just_above, 60, 60),)
    assert found.identities == 30


def test_ranks_count_the_distractors_that_score_as_high():
    # The mate is at cosine 0.6; distractors at 0.8 (three times), 0.6 and 0.
    away = np.array([[0.8, 0.6]] * 3 + [[0.6, 0.8], [0.0, 1.0]])
    found = search([[1.0, 0.0], [0.6, -0.8]], [5, 5], [away])
    # Sought with the second image, the best distractor is at 0: found at once.
    assert found.found_at == (1, 1, 1, 1, 2, 2, 2, 2, 2, 2)


@pytest.mark.parametrize(
    ("probes", "rates"), [(29, []), (30, [0.1]), (299, [0.1]), (300, [0.1, 0.01])]
)
def test_an_fpir_that_the_probes_do_not_support_is_left_out(probes, rates):
    rng = np.random.default_rng(0)
    found = search(rng.normal(size=(probes, 8)), np.arange(probes) // 2, [rng.normal(size=(9, 8))])
    assert [point.rate for point in found.tpir] == rates


@pytest.mark.parametrize(("total", "rates"), [(29, []), (30, [1e-3]), (300, [1e-3, 1e-4])])
def test_a_far_that_the_pairs_do_not_support_is_left_out(total, rates):
    rng = np.random.default_rng(0)
    found = search(rng.normal(size=(100, 8)), np.arange(100) // 2, [rng.normal(size=(total, 8))])
    assert [point.rate for point in found.tar] == rates


def test_the_only_image_of_a_person_is_no_mate_but_an_impostor():
    rng = np.random.default_rng(0)
    probes, distractors = rng.normal(size=(5, 8)), rng.normal(size=(20, 8))
    found = search(probes, [1, 1, 2, 3, 3], [distractors])
    assert (found.probes, found.identities, found.mated_searches) == (5, 3, 4)
    assert found.pairs.tolist() == [[0, 1], [3, 4]]
    assert len(found.impostors) == 100


def test_probes_without_a_mate_are_refused():
    with pytest.raises(BadInputError, match="no two probes show the same person"):
        search(np.eye(3), [1, 2, 3], [np.eye(3)])


@pytest.mark.parametrize("given_blocks", [[], [np.empty((0, 3))]])
def test_no_distractors_are_refused(given_blocks):
    with pytest.raises(BadInputError, match="no distractors"):
        search(np.eye(3), [1, 1, 2], given_blocks)


@pytest.mark.parametrize(
    ("value", "what"), [(np.nan, "not finite"), (np.inf, "not finite"), (0.0, "zero")]
)
def test_an_embedding_without_direction_is_refused_by_name(value, what):
    bad = np.ones((5, 3), np.float32)
    bad[3] = value
    with pytest.raises(BadInputError, match=f"row 3 of the probes is {what}"):
        search(bad, [1, 1, 2, 2, 3], [np.ones((5, 3))])
    with pytest.raises(BadInputError, match=f"row 3 of distractor block 1 is {what}"):
        search(np.ones((2, 3)), [1, 1], [np.ones((2000, 3)), bad])


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(BadInputError, match=r"block 1 has shape \(2, 4\)"):
        search(np.eye(3), [1, 1, 2], [np.eye(3), np.ones((2, 4))])
    with pytest.raises(BadInputError, match="identities of shape"):
        search(np.eye(3), [1, 1], [np.eye(3)])
    with pytest.raises(BadInputError, match="none of them 0"):
        search(np.empty((0, 3)), [], [np.eye(3)])


def test_neither_scale_nor_huge_or_tiny_numbers_matter():
    rng = np.random.default_rng(0)
    probes, distractors = rng.normal(size=(2, 40, 8)).astype(np.float32)
    people = np.arange(40) // 2
    scale = 2.0 ** rng.integers(-120, 120, size=(40, 1)).astype(np.float32)
    plain, scaled = (search(probes * s, people, [distractors * s]) for s in (1, scale))
    np.testing.assert_array_equal(scaled.impostors, plain.impostors)
    assert scaled.found_at == plain.found_at


def test_progress_counts_distractors():
    told = Told()
    search(np.eye(2), [1, 1], blocks(np.ones((2500, 2)), 700), told)
    assert [done for done, *_ in told.reached] == [1024, 2048, 2500]


def test_a_memmap_is_read_block_by_block(tmp_path, monkeypatch):
    monkeypatch.setattr(tiles, "KEPT", 1000)
    path = tmp_path / "distractors.npy"
    np.save(path, np.random.default_rng(0).normal(size=(20_000, 256)).astype(np.float32))
    mapped = np.load(path, mmap_mode="r")
    probes = np.random.default_rng(1).normal(size=(4, 256))
    whole = search(probes, [1, 1, 2, 2], [np.array(mapped)])
    tracemalloc.start()
    found = search(probes, [1, 1, 2, 2], blocks(mapped, 1000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(found.top, whole.top)
    # The file holds 20 MB.
    assert peak < 10e6


def test_the_record_carries_what_was_searched():
    rng = np.random.default_rng(0)
    found = search(rng.normal(size=(40, 8)), np.arange(40) // 4, [rng.normal(size=(100, 8))])
    record = identification.identification(found, "synthetic", "sum", 12.5, ("a.jpg",))
    assert (record.probes, record.mated_searches, record.distractors) == (40, 120, 100)
    assert (record.identities, record.label, record.flip) == (10, "synthetic", "sum")
    assert (record.images_per_second, record.not_found) == (12.5, ("a.jpg",))
    assert record.searches_per_second > 0
    assert record.rank1 == found.found_at[0] / 120
    assert record.tpir == found.tpir
    assert record.tar == found.tar
