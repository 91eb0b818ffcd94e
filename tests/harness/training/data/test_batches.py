"""Batches are the same however they are made, and each image comes once an epoch."""

import os
import signal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from facebench.architectures.errors import BadInputError, UnavailableError
from facebench.harness.training.data.augmentation import NONE, Augmentation, augment
from facebench.harness.training.data.batches import batches, batches_in
from facebench.harness.training.data.faces import load
from facebench.harness.training.data.memory import held
from facebench.harness.verification.alignment import align, template
from tests.harness.training.data import sets

ALL = Augmentation(shift=4, brightness=0.2, contrast=0.3)


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    path = tmp_path_factory.mktemp("set") / "faces.tar"
    return held(load(sets.write_tar(path, sets.people(count=6, each=7))))


def same(first, second):
    return len(first) == len(second) and all(
        torch.equal(a, b)
        for one, other in zip(first, second, strict=True)
        for a, b in zip(one, other, strict=True)
    )


def test_an_epoch_has_each_image_at_most_once_with_its_label(faces):
    dealt = list(batches(faces, 8, epoch=0, seed=1, workers=0))
    assert len(dealt) == batches_in(faces, 8) == 5
    indices = torch.cat([batch.indices for batch in dealt]).tolist()
    assert len(set(indices)) == 40
    assert faces.labels[indices].tolist() == torch.cat([b.labels for b in dealt]).tolist()


def test_images_are_those_of_the_set_mirrored_where_it_says_so(faces):
    seen = set()
    for batch in batches(faces, 8, epoch=0, seed=1, workers=0):
        assert batch.images.shape == (8, 3, 112, 112)
        assert batch.images.dtype == torch.uint8
        for image, index, flipped in zip(batch.images, batch.indices, batch.flipped, strict=True):
            picture = faces.image(int(index)).transpose(2, 0, 1)
            expected = picture[..., ::-1] if flipped else picture
            np.testing.assert_array_equal(image.numpy(), expected)
            seen.add(bool(flipped))
    assert seen == {True, False}


def test_without_mirroring_nothing_is_mirrored(faces):
    assert not any(b.flipped.any() for b in batches(faces, 8, 0, 1, 0, flip=False))


@pytest.mark.parametrize("options", [NONE, ALL])
def test_the_number_of_workers_changes_nothing(faces, options):
    alone, two, three = (
        list(batches(faces, 8, epoch=3, seed=5, workers=workers, options=options))
        for workers in (0, 2, 3)
    )
    assert same(alone, two)
    assert same(alone, three)


def test_faces_that_are_not_held_are_read_by_workers(tmp_path, faces):
    path = sets.write_tar(tmp_path / "faces.tar", sets.people(count=6, each=7))
    assert same(list(batches(load(path), 8, 0, 0, 2)), list(batches(faces, 8, 0, 0, 0)))


@settings(deadline=None, max_examples=30)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 10**6),
    st.integers(1, 42),
    st.integers(0, 50),
)
def test_to_begin_later_leaves_out_what_came_before(faces, seed, epoch, batch, start):
    whole = list(batches(faces, batch, epoch, seed, 0, options=ALL))
    assert same(
        list(batches(faces, batch, epoch, seed, 0, start=start, options=ALL)), whole[start:]
    )


@pytest.mark.parametrize("world", [1, 2, 4])
def test_ranks_share_each_batch_without_overlap(faces, world):
    whole = list(batches(faces, 8, 2, 9, 0, options=ALL))
    parts = [
        list(batches(faces, 8, 2, 9, 0, options=ALL, rank=rank, world=world))
        for rank in range(world)
    ]
    for number, batch in enumerate(whole):
        for rank in range(world):
            part = parts[rank][number]
            for tensor, expected in zip(part, batch, strict=True):
                assert torch.equal(tensor, expected[rank::world])


def test_epochs_and_seeds_differ_in_order_and_in_mirroring(faces):
    runs = [
        torch.cat(
            [torch.stack([b.indices, b.flipped.long()]) for b in batches(faces, 8, e, s, 0)], 1
        )
        for e, s in ((0, 0), (1, 0), (0, 1))
    ]
    for first in range(3):
        for second in range(first):
            assert (runs[first][0] != runs[second][0]).any()
            assert (runs[first][1] != runs[second][1]).any()


def test_the_order_of_a_seed_stays_as_it_is(faces):
    """A training run is to be repeated next year: the stream is numpy's PCG64, raw."""
    (first, *_) = batches(faces, 8, epoch=0, seed=0, workers=0)
    assert first.indices.tolist() == RECORDED[0]
    assert first.flipped.int().tolist() == RECORDED[1]


RECORDED = ([11, 3, 20, 13, 2, 21, 32, 15], [1, 1, 0, 1, 0, 0, 1, 0])


def test_half_of_the_images_are_mirrored(faces):
    flips = torch.cat([b.flipped for e in range(40) for b in batches(faces, 42, e, 0, 0)]).float()
    # 1,680 fair draws: six standard deviations are 0.073.
    assert abs(float(flips.mean()) - 0.5) < 0.073


@pytest.mark.parametrize("size", [(112, 112), (112, 96), (96, 96)])
def test_smaller_inputs_are_cut_as_verification_cuts_them(faces, size):
    (batch, *_) = batches(faces, 4, 0, 0, 0, flip=False, input_size=size)
    for image, index in zip(batch.images, batch.indices, strict=True):
        expected = align(faces.image(int(index)), template((112, 112)), size)
        np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), expected)


def test_a_size_without_a_template_is_refused(faces):
    with pytest.raises(BadInputError, match="224x224"):
        batches(faces, 4, 0, 0, 0, input_size=(224, 224))


def test_what_cannot_be_split_is_refused(faces):
    with pytest.raises(BadInputError, match="split evenly for 3"):
        batches(faces, 8, 0, 0, 0, world=3)
    with pytest.raises(BadInputError, match="42 images, fewer than one batch of 64"):
        batches(faces, 64, 0, 0, 0)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_image_is_a_sentence_from_a_worker_too(tmp_path, workers):
    images = sets.people(count=3, each=8)
    images["0000001/003.png"] = images["0000001/003.png"][:2000]
    damaged = load(sets.write_folder(tmp_path / "faces", images))
    with pytest.raises(BadInputError, match=r"^[^\n]*0000001/003.png is truncated[^\n]*$"):
        list(batches(damaged, 4, 0, 0, workers))


def test_a_killed_worker_is_told(faces):
    class Deadly(type(faces)):
        def image(self, index):
            os.kill(os.getpid(), signal.SIGKILL)

    deadly = Deadly(**{name: getattr(faces, name) for name in faces.__dataclass_fields__})
    with pytest.raises(UnavailableError, match="killed"):
        list(batches(deadly, 4, 0, 0, 1))


def test_a_shift_moves_and_blackens():
    picture = np.full((112, 112, 3), 200, np.uint8)
    shifted = augment(picture, Augmentation(shift=4), np.array([0.999, 0.0, 0.5, 0.5]))
    expected = np.zeros_like(picture)
    expected[:-4, 4:] = 200  # four to the right, four up
    np.testing.assert_array_equal(shifted, expected)


def test_shifts_go_as_far_as_they_may_in_both_directions():
    picture = np.zeros((112, 112, 3), np.uint8)
    picture[50, 50] = 255
    spots = set()
    for across in np.linspace(0, 0.999, 20):
        moved = augment(picture, Augmentation(shift=2), np.array([across, 0.5, 0.5, 0.5]))
        spots.add(int(np.argwhere(moved.any(axis=2))[0, 1]))
    assert spots == {48, 49, 50, 51, 52}


def test_brightness_and_contrast_follow_their_formulas():
    picture = np.tile(np.array([100, 140], np.uint8), 56 * 112 * 3).reshape(112, 112, 3)
    brighter = augment(picture, Augmentation(brightness=0.1), np.array([0, 0, 1.0, 0.5]))
    np.testing.assert_array_equal(brighter, np.rint(picture + 25.5))
    # The mean is 120: what is 20 from it gets 30 from it.
    steeper = augment(picture, Augmentation(contrast=0.5), np.array([0, 0, 0.5, 1.0]))
    assert set(np.unique(steeper)) == {90, 150}


@pytest.mark.parametrize("wrong", [{"shift": -1}, {"shift": 99}, {"brightness": 2.0}])
def test_an_augmentation_out_of_range_is_refused(wrong):
    with pytest.raises(BadInputError, match="is not valid"):
        Augmentation(**wrong)
