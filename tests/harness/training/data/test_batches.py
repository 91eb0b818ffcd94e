"""Batches are the same however they are made, and each image comes once an epoch."""

import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from facebench.architectures.errors import BadInputError, UnavailableError
from facebench.harness.training.data.augmentation import NONE, Augmentation, Draw
from facebench.harness.training.data.batches import batches, batches_in
from facebench.harness.training.data.faces import load
from facebench.harness.training.data.feed import feed
from facebench.harness.training.data.memory import held
from facebench.harness.verification.alignment import align, template
from tests.harness.training.data import sets

ALL = Augmentation(4, 0.1, 0.2, 0.3, 0.5, 1.5, 20, 0.5, 0.5)


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


def numbers(dealt):
    return [batch[:-1] for batch in dealt]


def test_an_epoch_has_each_image_at_most_once_with_its_label(faces):
    dealt = list(batches(faces, 8, epoch=0, seed=1, workers=0))
    assert len(dealt) == batches_in(faces, 8) == 5
    indices = torch.cat([batch.indices for batch in dealt]).tolist()
    assert len(set(indices)) == 40
    assert faces.labels[indices].tolist() == torch.cat([b.labels for b in dealt]).tolist()


def test_images_are_those_of_the_set_mirrored_where_it_says_so(faces):
    seen = set()
    fed = feed(faces)
    for batch in batches(faces, 8, epoch=0, seed=1, workers=0):
        images = fed.images(batch)
        assert images.shape == (8, 3, 112, 112)
        assert images.dtype == torch.uint8
        for image, index, flipped in zip(images, batch.indices, batch.flipped, strict=True):
            picture = faces.image(int(index)).transpose(2, 0, 1)
            expected = picture[..., ::-1] if flipped else picture
            np.testing.assert_array_equal(image.numpy(), expected)
            seen.add(bool(flipped))
    assert seen == {True, False}


def test_without_mirroring_nothing_is_mirrored(faces):
    assert not any(b.flipped.any() for b in batches(faces, 8, 0, 1, 0, flip=False))


def test_the_number_of_workers_changes_nothing(faces):
    alone, two, three = (
        list(batches(faces, 8, epoch=3, seed=5, workers=workers)) for workers in (0, 2, 3)
    )
    assert same(alone, two)
    assert same(alone, three)


def test_faces_that_are_not_held_are_read_by_workers(tmp_path, faces):
    path = sets.write_tar(tmp_path / "faces.tar", sets.people(count=6, each=7))
    assert same(list(batches(load(path), 8, 0, 0, 2)), list(batches(faces, 8, 0, 0, 0)))


@pytest.mark.parametrize("options", [NONE, ALL])
@pytest.mark.parametrize("size", [(112, 112), (112, 96)])
def test_a_device_that_holds_all_images_makes_the_same_ones(faces, size, options):
    targets = torch.arange(84.0).reshape(42, 2, 1)
    holds = feed(faces, "cpu", size, options, targets)
    gets = feed(replace(faces, pixels=None), "cpu", size, options, targets)
    assert (holds.holds, gets.holds) == (True, False)
    bare = list(batches(faces, 8, 3, 5, 0, decoded=False))
    whole = list(batches(faces, 8, 3, 5, 0))
    assert {batch.pictures for batch in bare} == {None}
    assert same(numbers(bare), numbers(whole))
    for numbered, pictured in zip(bare, whole, strict=True):
        assert torch.equal(holds.images(numbered), gets.images(pictured))
        expected = 2 * numbered.indices + numbered.flipped
        for fed in (holds, gets):
            assert torch.equal(fed.targets(numbered)[:, 0], expected.float())


def test_a_device_with_too_little_memory_holds_none(faces, monkeypatch):
    for free, holds in ((3 * faces.pixels.nbytes, True), (faces.pixels.nbytes, False)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, free=free: (free, free))
        fed = feed(faces, "meta", targets=torch.zeros(42, 2, 1))
        assert fed.holds is holds
        assert fed.aims.device.type == ("meta" if holds else "cpu")


def test_draws_are_even(faces):
    draws = torch.cat([b.draws for e in range(40) for b in batches(faces, 42, e, 0, 0)])
    assert draws.shape == (1680, len(Draw))
    assert float(draws.min()) >= 0
    assert float(draws.max()) < 1
    # A fair draw deviates by 0.29 from its mean: six standard deviations of the mean are 0.042.
    assert float((draws.mean(0) - 0.5).abs().max()) < 0.042
    assert float((torch.corrcoef(draws.T) - torch.eye(len(Draw))).abs().max()) < 0.15


@settings(deadline=None, max_examples=30)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 10**6),
    st.integers(1, 42),
    st.integers(0, 50),
)
def test_to_begin_later_leaves_out_what_came_before(faces, seed, epoch, batch, start):
    whole = list(batches(faces, batch, epoch, seed, 0))
    assert same(list(batches(faces, batch, epoch, seed, 0, start=start)), whole[start:])


@pytest.mark.parametrize("world", [1, 2, 4])
def test_ranks_share_each_batch_without_overlap(faces, world):
    whole = list(batches(faces, 8, 2, 9, 0))
    parts = [list(batches(faces, 8, 2, 9, 0, rank=rank, world=world)) for rank in range(world)]
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
    (batch, *_) = batches(faces, 4, 0, 0, 0, flip=False)
    images = feed(faces, input_size=size).images(batch)
    for image, index in zip(images, batch.indices, strict=True):
        expected = align(faces.image(int(index)), template((112, 112)), size)
        np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), expected)


def test_a_size_without_a_template_is_refused(faces):
    with pytest.raises(BadInputError, match="224x224"):
        feed(faces, input_size=(224, 224))


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
