"""Provides training faces dealt out in batches, the same whatever the number of processes that
decode.
"""

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
from facebench.harness.training.data.augmentation import DRAWS, NONE, Augmentation, augment
from facebench.harness.training.data.source import SIZE
from facebench.harness.training.data.training_faces import TrainingFaces
from facebench.harness.verification.alignment import template

# Batches that each worker has ready: one in work and one that waits.
_AHEAD = 2
# What a random stream is for: two of the same seed and epoch must not be alike.
_ORDER, _AUGMENTATION = 0, 1


class Batch(NamedTuple):
    """Images with what is known of them, B of each.

    Attributes:
        images: `(B, 3, H, W)`, uint8, RGB; channels last in memory.
        labels: `(B,)`, int64.
        indices: `(B,)`, int64, places in the training set.
        flipped: `(B,)`, bool, which are mirrored.
    """

    images: torch.Tensor
    labels: torch.Tensor
    indices: torch.Tensor
    flipped: torch.Tensor


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
    input_size: tuple[int, int] = SIZE,
    start: int = 0,
    rank: int = 0,
    world: int = 1,
    options: Augmentation = NONE,
    pin: bool = False,
    epochs: int = 1,
) -> Generator[Batch]:
    """Return the batches of an epoch, each image at most once, in an order of the epoch's own.

    What is dealt depends on the faces, `batch`, `epoch`, `seed` and the augmentation alone:
    neither on `workers`, nor on `start`, nor on how many ranks share a batch.

    Args:
        faces: the training set.
        batch: images in a batch, of all ranks together.
        epoch: from 0.
        seed: of the run.
        workers: processes that decode; with 0 it is done here, in between.
        flip: whether half of the images, drawn anew in each epoch, are mirrored.
        input_size: height and width of the network's input, cut out of the aligned
            face as verification cuts it.
        start: the first batch that is wanted; those before are not decoded.
        rank: which of `world` parts of each batch is wanted: rows rank, rank + world, ...
        world: into how many parts each batch is split.
        options: what else is done to images.
        pin: whether the tensors lie in page-locked memory, for faster copies to a GPU.
        epochs: how many, `epoch` the first; at once, so that nobody waits between them.

    Raises:
        BadInputError: a batch can't be split evenly, or there is none, or there is no
            template for the input's size; or an image is damaged.
        UnavailableError: a worker was killed.
    """
    count = batches_in(faces, batch)
    if world < 1 or not 0 <= rank < world or batch % world:
        raise BadInputError(
            f"a batch of {batch} cannot be split evenly for {world} processes: use a multiple"
        )
    top, left = _corner(input_size)
    cut = slice(top, top + input_size[0]), slice(left, left + input_size[1])
    part = slice(rank, None, world)
    dealer = _Dealer(faces, count, batch, seed, flip, cut, part, options)
    numbers = range(epoch * count + start, (epoch + epochs) * count)
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
    cut: tuple[slice, slice]
    part: slice
    options: Augmentation

    def __getitem__(self, number: int) -> Batch | FacebenchError:
        try:
            return self._deal(number)
        except FacebenchError as error:
            return error

    def _deal(self, step: int) -> Batch:
        epoch, number = divmod(step, self.count)
        order = _order(self.seed, epoch, len(self.faces))
        indices = order[number * self.batch :][: self.batch][self.part]
        stream = _stream(self.seed, epoch, _AUGMENTATION, number)
        raw = stream.random_raw(self.batch * DRAWS)
        # The upper 53 bits, as doubles in [0, 1).
        draws = ((raw >> np.uint64(11)) * 2.0**-53).reshape(self.batch, DRAWS)[self.part]
        flipped = (draws[:, 0] < 0.5) & self.flip
        rows, columns = self.cut
        height, width = rows.stop - rows.start, columns.stop - columns.start
        pictures = np.empty((len(indices), height, width, 3), np.uint8)
        for place, index in enumerate(indices.tolist()):
            picture = augment(self.faces.image(index), self.options, draws[place, 1:])[self.cut]
            # Several times as fast as numpy's view of it would be copied.
            pictures[place] = cv2.flip(picture, 1) if flipped[place] else picture
        return Batch(
            torch.from_numpy(pictures).permute(0, 3, 1, 2),
            torch.from_numpy(self.faces.labels[indices]),
            torch.from_numpy(indices.astype(np.int64)),
            torch.from_numpy(flipped),
        )


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


def _corner(input_size: tuple[int, int]) -> tuple[int, int]:
    """Return where an input of this size lies in the aligned face: upper edge and left edge.

    Raises:
        BadInputError: it is larger, or no template is known for its size.
    """
    if max(input_size) > min(SIZE):
        raise BadInputError(
            f"an input of {input_size[0]}x{input_size[1]} is larger than the training faces of "
            f"{SIZE[0]}x{SIZE[1]}: train a network whose input is not"
        )
    left, top = np.rint(template(SIZE)[0] - template(input_size)[0]).astype(int).tolist()
    return top, left
