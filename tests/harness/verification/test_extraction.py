"""Embeddings: what the network is fed, in which batches, and what is refused."""

import dataclasses
import threading
import time
import uuid

import numpy as np
import pytest

from facebench.architectures.errors import BadInputError
from facebench.architectures.registry import Preprocessing
from facebench.harness.storage import cache
from facebench.harness.verification import embedding
from facebench.harness.verification.alignment import align
from facebench.harness.verification.datasets.registry import DATASETS
from facebench.harness.verification.embedding import Embedder, extract_blocks, load, preprocess
from facebench.harness.verification.embedding import extract as extract_with
from tests.progress import Told

SIZE = (112, 112)
PAPER = Preprocessing()


def pooled(inputs):
    """A stand-in for a network: 8 x 8 means of each channel, and it is sensitive to mirroring."""
    n, c, h, w = inputs.shape
    return inputs.reshape(n, c, 8, h // 8, 8, w // 8).mean(axis=(3, 5)).reshape(n, -1)


def extract(faces, keys, streams, preprocessing, size, batch=1, flip="none", key=None, **rest):
    """Embed with a network that the cache has not seen, unless it is given a key."""
    embedder = Embedder(streams, preprocessing, size, batch, key or uuid.uuid4().hex)
    return extract_with(faces, keys, embedder, flip, **rest)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def faces(layout):
    return DATASETS["lfw"].open(layout.root)


def test_pixels_are_scaled_as_the_network_asks_for():
    picture = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    inputs = preprocess([picture], Preprocessing("BGR", (1, 2, 3), (10, 20, 30)))
    assert inputs.shape == (1, 3, 4, 5)
    assert inputs.dtype == np.float32
    for channel, source in enumerate((2, 1, 0)):
        expected = (picture[..., source] - (channel + 1.0)) / (10.0 * (channel + 1))
        np.testing.assert_allclose(inputs[0, channel], expected, rtol=1e-6)


@pytest.mark.parametrize("batch", [1, 3, 8, 20])
def test_every_batch_is_full_and_no_image_is_lost(faces, batch):
    sizes = []

    def embed(inputs):
        sizes.append(len(inputs))
        return pooled(inputs)

    extraction = extract(faces, faces.keys, [embed], PAPER, SIZE, batch=batch)
    assert set(sizes) == {batch}
    assert len(sizes) == -(-8 // batch)
    for key, found in zip(faces.keys, extraction.embeddings, strict=True):
        aligned = align(faces.picture(key), faces.landmarks[key], SIZE)
        np.testing.assert_allclose(found, pooled(preprocess([aligned], PAPER))[0], rtol=1e-5)


def test_mirror_images_are_joined_as_asked(faces):
    plain = extract(faces, faces.keys, [pooled], PAPER, SIZE, batch=4).embeddings
    mirrored = extract(
        faces, faces.keys, [lambda x: pooled(x[..., ::-1])], PAPER, SIZE, batch=4
    ).embeddings
    assert not np.allclose(plain, mirrored)
    total = extract(faces, faces.keys, [pooled], PAPER, SIZE, batch=4, flip="sum")
    np.testing.assert_allclose(total.embeddings, plain + mirrored, rtol=1e-6)
    both = extract(faces, faces.keys, [pooled], PAPER, SIZE, batch=4, flip="concatenation")
    np.testing.assert_array_equal(both.embeddings, np.concatenate([plain, mirrored], axis=1))


def test_each_image_is_decoded_once(faces, monkeypatch):
    read = []
    original = type(faces.files).read
    monkeypatch.setattr(
        type(faces.files), "read", lambda files, key: read.append(key) or original(files, key)
    )
    _ = faces.image_digests
    assert sorted(read) == sorted(faces.keys)
    extract(faces, faces.keys, [pooled], PAPER, SIZE, batch=3, flip="sum")
    assert sorted(read) == sorted([*faces.keys] * 2)
    extract(faces, faces.keys, [pooled], PAPER, SIZE, batch=2)
    assert len(read) == 2 * len(faces.keys), "another network finds the crops in the cache"


def test_embeddings_are_kept_until_what_they_depend_on_changes(faces):
    calls = []

    def embed(inputs):
        calls.append(len(inputs))
        return pooled(inputs)

    def run(key="one", preprocessing=PAPER, flip="sum", faces=faces):
        before = len(calls)
        made = extract(faces, faces.keys, [embed], preprocessing, SIZE, 4, flip, key)
        return made, len(calls) - before

    first, fresh = run()
    assert fresh == 4
    again, fresh = run()
    assert fresh == 0
    np.testing.assert_array_equal(first.embeddings, again.embeddings)
    assert again.seconds == first.seconds, "the speed is that of when they were made"
    both, fresh = run(flip="concatenation")
    assert fresh == 0, "a sum and a concatenation come of the same two embeddings"
    np.testing.assert_array_equal(load(first.entries, "concatenation"), both.embeddings)
    assert run(flip="none")[1] == 2
    assert run(key="two")[1] == 4
    assert run(preprocessing=Preprocessing("BGR"))[1] == 4
    moved = dict(faces.landmarks)
    moved[faces.keys[0]] = moved[faces.keys[0]] + 1
    assert run(faces=dataclasses.replace(faces, landmarks=moved))[1] == 4


def test_embeddings_that_the_cache_lost_are_not_made_up(faces):
    made = extract(faces, faces.keys, [pooled], PAPER, SIZE)
    assert load((*made.entries, "0" * 32), "none") is None
    assert load((), "none") is None


def test_blocks_join_to_the_whole_and_progress_is_told(faces, monkeypatch):
    whole = extract(faces, faces.keys, [pooled], PAPER, SIZE, batch=2)
    monkeypatch.setattr(embedding, "CHUNK", 3)
    told = Told()
    embedder = Embedder([pooled], PAPER, SIZE, 2, uuid.uuid4().hex)
    blocks = list(extract_blocks(faces, faces.keys, embedder, progress=told))
    assert [len(block.embeddings) for block in blocks] == [3, 3, 2]
    assert {(3, 8, ""), (6, 8, ""), (8, 8, "")} <= {*told.reached}
    assert told.reached == sorted(told.reached)
    np.testing.assert_array_equal(np.concatenate([b.embeddings for b in blocks]), whole.embeddings)


def test_a_slow_network_is_heard_of_before_its_block_is_done(faces):
    told = Told()
    heard = []

    def slow(inputs):
        heard.append(len(told.reached))
        return pooled(inputs)

    extract(faces, faces.keys, [slow], PAPER, SIZE, batch=2, progress=told)
    assert heard[0] >= 1, "cutting images is heard of"
    embedded = {done for done, _, _ in told.reached}
    assert embedded == {0, 2, 4, 6, 8}


def test_crops_of_a_large_set_are_cut_as_they_are_needed(faces, monkeypatch):
    kept = extract(faces, faces.keys, [pooled], PAPER, SIZE, batch=2)
    monkeypatch.setattr(embedding, "_KEPT_CROPS", 7)
    kinds = []
    entry = cache.entry
    monkeypatch.setattr(
        cache, "entry", lambda kind, *rest: kinds.append(kind) or entry(kind, *rest)
    )
    again = extract(faces, faces.keys, [pooled], PAPER, SIZE, batch=2)
    assert kinds == ["embeddings"]
    np.testing.assert_array_equal(kept.embeddings, again.embeddings)


def test_a_runtime_may_use_its_output_buffer_again(faces):
    buffer = np.empty((2, 192), np.float32)

    def embed(inputs):
        buffer[:] = pooled(inputs)
        return buffer

    again = extract(faces, faces.keys, [embed], PAPER, SIZE, batch=2, flip="concatenation")
    fresh = extract(faces, faces.keys, [pooled], PAPER, SIZE, batch=2, flip="concatenation")
    np.testing.assert_array_equal(again.embeddings, fresh.embeddings)


def test_streams_change_the_time_and_nothing_else(faces):
    in_work, most = 0, 0
    lock = threading.Lock()

    def embed(inputs):
        nonlocal in_work, most
        with lock:
            in_work += 1
            most = max(most, in_work)
        time.sleep(0.02)
        with lock:
            in_work -= 1
        return pooled(inputs)

    one = extract(faces, faces.keys, [embed], PAPER, SIZE)
    assert most == 1
    three = extract(faces, faces.keys, [embed] * 3, PAPER, SIZE)
    assert 1 < most <= 3
    np.testing.assert_array_equal(one.embeddings, three.embeddings)
    assert one.images_per_second == pytest.approx(8 / one.seconds)


def test_an_image_that_fails_stops_the_streams_that_follow(faces):
    calls = []

    def embed(inputs):
        calls.append(len(inputs))
        time.sleep(0.05)
        return np.full((len(inputs), 4), np.nan)

    with pytest.raises(BadInputError, match="not finite"):
        extract(faces, faces.keys, [embed], PAPER, SIZE)
    assert len(calls) < len(faces.keys)


@pytest.mark.parametrize(
    ("value", "message"), [(np.nan, "not finite"), (np.inf, "not finite"), (0.0, "zero")]
)
@pytest.mark.parametrize("batch", [1, 4])
def test_a_useless_embedding_is_refused_with_its_image(faces, value, message, batch):
    bad = preprocess(
        [align(faces.picture(faces.keys[5]), faces.landmarks[faces.keys[5]], SIZE)], PAPER
    )

    def embed(inputs):
        embeddings = pooled(inputs)
        embeddings[(inputs == bad).all(axis=(1, 2, 3))] = value
        return embeddings

    with pytest.raises(BadInputError, match=f"embedding of {faces.keys[5]} is {message}"):
        extract(faces, faces.keys, [embed], PAPER, SIZE, batch=batch)


def test_a_constant_network_is_refused(faces):
    rng = np.random.default_rng(0)

    def embed(inputs):
        return 1 + rng.uniform(-1e-7, 1e-7, (len(inputs), 16)).astype(np.float32)

    with pytest.raises(BadInputError, match=r"all 8 embeddings equal .* the network is constant"):
        extract(faces, faces.keys, [embed], PAPER, SIZE, batch=2)


@pytest.mark.parametrize("shape", [(1, 256), (2, 128, 1, 1), (256,)])
def test_a_wrong_output_shape_is_refused(faces, shape):
    with pytest.raises(BadInputError, match=r"gives an output of shape .* for 2 images"):
        extract(faces, faces.keys, [lambda x: np.ones(shape, np.float32)], PAPER, SIZE, batch=2)


def test_degenerate_landmarks_are_refused_with_their_image(faces):
    faces.landmarks[faces.keys[2]][:] = 7
    with pytest.raises(BadInputError, match=r"Bob_0001\.jpg cannot be aligned: landmarks coincide"):
        extract(faces, faces.keys, [pooled], PAPER, SIZE)


def test_an_unknown_flip_is_refused(faces):
    with pytest.raises(BadInputError, match="unknown flip 'both': use one of none, sum"):
        extract(faces, faces.keys, [pooled], PAPER, SIZE, flip="both")
