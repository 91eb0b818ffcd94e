"""Makes of a batch what a step takes, on the device that trains: images, and what is aimed at.

Where all images fit the device's memory they are kept there, with the teacher's embeddings, and
a step waits for nothing but numbers: which images, and how they are changed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from facebench.architectures.errors import BadInputError
from facebench.harness.training.data.augmentation import NONE, Augmentation, augment
from facebench.harness.training.data.batches import Batch
from facebench.harness.training.data.memory import SHARE
from facebench.harness.training.data.source import SIZE
from facebench.harness.training.data.training_faces import TrainingFaces
from facebench.harness.verification.alignment import template


@dataclass(frozen=True, eq=False)
class Feed:
    """It makes images and aims of batches.

    Attributes:
        device: as torch names it.
        cut: rows and columns of the aligned face that are the network's input.
        options: how images are changed.
        pictures: `(N, 112, 112, 3)`, uint8, all of the set, where the device holds them.
        aims: `(N, 2, E)`, the teacher's embeddings of each image and of its mirror; there too.
    """

    device: str
    cut: tuple[slice, slice]
    options: Augmentation = NONE
    pictures: Tensor | None = None
    aims: Tensor | None = None

    @property
    def holds(self) -> bool:
        """Say whether the device has all images, so that nobody needs to decode any."""
        return self.pictures is not None

    def images(self, batch: Batch) -> Tensor:
        """Return the images of a batch, changed, cut and mirrored: `(B, 3, H, W)`, uint8, RGB."""
        if self.pictures is not None:
            pictures = self.pictures.index_select(0, self._there(batch.indices))
        else:
            assert batch.pictures is not None
            pictures = self._there(batch.pictures)
        images = pictures.permute(0, 3, 1, 2)
        if self.options != NONE:
            images = augment(images, self.options, self._there(batch.draws))
        rows, columns = self.cut
        images = images[:, :, rows, columns]
        flipped = self._there(batch.flipped).view(-1, 1, 1, 1)
        return torch.where(flipped, images.flip(3), images)

    def targets(self, batch: Batch) -> Tensor | None:
        """Return the teacher's embeddings of the same images `(B, E)`; None without a teacher."""
        if self.aims is None:
            return None
        there = self.aims.device
        found = self.aims[batch.indices.to(there), batch.flipped.to(there).long()]
        return self._there(found)

    def _there(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.device, non_blocking=True)


def feed(
    faces: TrainingFaces,
    device: str = "cpu",
    input_size: tuple[int, int] = SIZE,
    options: Augmentation = NONE,
    targets: Tensor | None = None,
) -> Feed:
    """Return what feeds a network on a device, which holds all images where they fit.

    Args:
        faces: the training set.
        device: as torch names it.
        input_size: height and width of the network's input, cut out of the aligned face as
            verification cuts it.
        options: how images are changed.
        targets: the teacher's embeddings of each image and of its mirror, `(N, 2, E)`.

    Raises:
        BadInputError: there is no template for the input's size.
    """
    top, left = _corner(input_size)
    cut = slice(top, top + input_size[0]), slice(left, left + input_size[1])
    pictures = _pictures(faces, device)
    if pictures is not None and targets is not None:
        targets = targets.to(device)
    return Feed(device, cut, options, pictures, targets)


def _pictures(faces: TrainingFaces, device: str) -> Tensor | None:
    """Return all images on the device; None where they are not decoded, or do not fit."""
    if faces.pixels is None:
        return None
    pixels = torch.from_numpy(faces.pixels)
    if device != "cpu":
        free, _ = torch.cuda.mem_get_info(device)
        if pixels.nbytes > SHARE * free:
            return None
    return pixels.to(device)


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
