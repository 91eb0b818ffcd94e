"""Deals training faces out in batches: the same whatever the number of processes that decode."""

from __future__ import annotations

import signal
from collections.abc import Generator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from facebench.architectures.errors import BadInputError, FacebenchError, UnavailableError
from facebench.harness.stats.arrays import IntArray
from facebench.harness.training.data.augmentation import Draw
from facebench.harness.training.data.source import SIZE
from facebench.harness.training.data.training_faces import TrainingFaces

# Batches that each worker has ready: one in work and one that waits.
_AHEAD = 2
# What a random stream is for: two of the same seed and epoch must not be alike.
_ORDER, _AUGMENTATION, _MORE_AUGMENTATION = 0, 1, 2
# Numbers of an image from the second of them: for the mirroring, and the first of `Draw`. What
# has come since has a stream of its own, so that what is drawn for these stays.
_FIRST = 5


class Batch(NamedTuple):
    """It says which images come next and what becomes of them, B of each.

    Attributes:
        labels: `(B,)`, int64.
        indices: `(B,)`, int64, places in the training set.
        flipped: `(B,)`, bool, which are mirrored.
        draws: `(B, len(Draw))`, float32, random, in [0, 1).
        pictures: `(B, 112, 112, 3)`, uint8, RGB, as they are; None where nobody asked for them.
    """

    labels: torch.Tensor
    indices: torch.Tensor
    flipped: torch.Tensor
    draws: torch.Tensor
    pictures: torch.Tensor | None


def batches_in(faces: TrainingFaces, batch: int) -> int:
    """Return batches of an epoch; the images left over take their turn in other epochs.

    Raises:
        BadInputError: there are fewer images than a batch has.
    """
    if len(faces) < batch:
        raise BadInputError(
            f"the training set has {len(faces):,} images, fewer than one batch of {batch:,}: use "
            "a smaller batch, or more images"
        )
    return len(faces) // batch


def batches(
    faces: TrainingFaces,
    batch: int,
    epoch: int,
    seed: int,
    workers: int,
    flip: bool = True,
    start: int = 0,
    rank: int = 0,
    world: int = 1,
    pin: bool = False,
    epochs: int = 1,
    decoded: bool = True,
) -> Generator[Batch]:
    """Return the batches of an epoch, each image at most once, in an order of the epoch's own.

    What is dealt depends on the faces, `batch`, `epoch` and `seed` alone: neither on `workers`,
    nor on `start`, nor on how many ranks share a batch.

    Args:
        faces: the training set.
        batch: images in a batch, of all ranks together.
        epoch: from 0.
        seed: of the run.
        workers: processes that decode; with 0 it is done here, in between.
        flip: whether half of the images, drawn anew in each epoch, are mirrored.
        start: the first batch that is wanted; those before are not decoded.
        rank: which of `world` parts of each batch is wanted: rows rank, rank + world, ...
        world: into how many parts each batch is split.
        pin: whether the tensors lie in page-locked memory, for faster copies to a GPU.
        epochs: how many, `epoch` the first; at once, so that nobody waits between them.
        decoded: whether the images are wanted, and not only their numbers, for which no
            worker is started.

    Raises:
        BadInputError: a batch can't be split evenly, or there is none; or an image is damaged.
        UnavailableError: a worker was killed.
    """
    count = batches_in(faces, batch)
    if world < 1 or not 0 <= rank < world or batch % world:
        raise BadInputError(
            f"a batch of {batch} cannot be split evenly for {world} processes: use a multiple"
        )
    dealer = _Dealer(faces, count, batch, seed, flip, slice(rank, None, world), decoded)
    numbers = range(epoch * count + start, (epoch + epochs) * count)
    if not decoded:
        return (dealer.deal(number) for number in numbers)
    return _loaded(dealer, numbers, workers, pin)


@dataclass(frozen=True, eq=False)
class _Dealer(Dataset["Batch | FacebenchError"]):
    """It holds batches by number, counted on over epochs.

    An error is an answer too, since torch would bury its sentence.
    """

    faces: TrainingFaces
    count: int
    batch: int
    seed: int
    flip: bool
    part: slice
    decoded: bool

    def __getitem__(self, number: int) -> Batch | FacebenchError:
        try:
            return self.deal(number)
        except FacebenchError as error:
            return error

    def deal(self, step: int) -> Batch:
        epoch, number = divmod(step, self.count)
        order = _order(self.seed, epoch, len(self.faces))
        indices = order[number * self.batch :][: self.batch][self.part]
        first = self._drawn(_FIRST, epoch, _AUGMENTATION, number)
        more = self._drawn(len(Draw) - (_FIRST - 1), epoch, _MORE_AUGMENTATION, number)
        return Batch(
            torch.from_numpy(self.faces.labels[indices]),
            torch.from_numpy(indices.astype(np.int64)),
            (first[:, 0] < 0.5) & self.flip,
            torch.cat([first[:, 1:], more], dim=1),
            self._pictures(indices) if self.decoded else None,
        )

    def _drawn(self, count: int, *purpose: int) -> torch.Tensor:
        """Return so many random numbers for each image of this part of the batch."""
        raw = _stream(self.seed, *purpose).random_raw(self.batch * count)
        # The upper 24 bits, in [0, 1): single precision holds them all.
        drawn = ((raw >> np.uint64(40)) * 2.0**-24).astype(np.float32)
        return torch.from_numpy(drawn.reshape(self.batch, count)[self.part])

    def _pictures(self, indices: IntArray) -> torch.Tensor:
        pictures = np.empty((len(indices), *SIZE, 3), np.uint8)
        for place, index in enumerate(indices.tolist()):
            pictures[place] = self.faces.image(index)
        return torch.from_numpy(pictures)


def _loaded(dealer: _Dealer, numbers: range, workers: int, pin: bool) -> Generator[Batch]:
    loader = DataLoader(
        dealer,
        batch_size=None,
        sampler=numbers,
        num_workers=workers,
        prefetch_factor=_AHEAD if workers else None,
        # Forked, so that workers share the images that are held in memory.
        multiprocessing_context="fork" if workers else None,
        worker_init_fn=_settle,
        pin_memory=pin,
    )
    try:
        for dealt in loader:
            if isinstance(dealt, FacebenchError):
                raise dealt
            yield dealt
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise UnavailableError(
            "a process that decodes images was killed, as happens where memory is short (in a "
            "container also that of /dev/shm): use fewer workers or a smaller batch"
        ) from error


def _settle(worker: int) -> None:
    # Ctrl-C is the trainer's to answer; each worker has one core.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(0)


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, images: int) -> IntArray:
    """Return the order in which an epoch deals the images."""
    return _stream(seed, epoch, _ORDER).random_raw(images).argsort(kind="stable")


def _stream(*key: int) -> np.random.PCG64:
    """Return random bits for a purpose. Of numpy's streams only raw bits are promised to stay."""
    return np.random.PCG64(np.random.SeedSequence(key))
