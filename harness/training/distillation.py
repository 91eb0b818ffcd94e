"""Says what is learned from teachers: their embeddings of the training set, made once.

Several teachers teach as one, whose embedding is theirs put together: the cosine of two images
is then the mean of theirs. Where that is longer than the student's, it is turned and cut to the
directions in which the training set's embeddings are largest, so that no sums of products
change more than they must (C. Eckart and G. Young, Psychometrika 1, 1936). W. Yin and
H. Schuetze, arXiv 1508.04257, join sets of word vectors so (their CONC and SVD). Unlike a layer
for each teacher that learns along, it is the same for all students of a size, and costs a
step nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from facebench.harness.models.networks import Network
from facebench.harness.storage.progress import SILENT, Progress
from facebench.harness.training.data.teacher import open_teacher
from facebench.harness.training.data.training_faces import TrainingFaces
from facebench.harness.training.data.views import aligned
from facebench.harness.training.teachers import Teacher
from facebench.harness.verification.embedding import extract

# Embeddings that are in double precision at a time.
_ROWS = 65_536


@dataclass(frozen=True)
class Distillation:
    """It holds what teachers say of the training set.

    Attributes:
        teachers: one or several.
        embeddings: each one's, of each image and of its mirror, `(N, 2, E)`, of length 1.
    """

    teachers: tuple[Teacher, ...]
    embeddings: tuple[Tensor, ...]

    def targets(self, size: int) -> Tensor:
        """Return what a student with embeddings of this size learns, `(N, 2, E)`, of length 1.

        Of one teacher its embeddings, whatever their size E; of several at most `size` values.
        """
        if len(self.embeddings) == 1:
            return self.embeddings[0]
        joined = torch.cat(self.embeddings, dim=2)
        if joined.shape[2] > size:
            joined = joined @ principal_directions(joined.flatten(0, 1), size).to(joined.dtype)
        return F.normalize(joined, dim=2)


def distill(
    teachers: Sequence[Teacher], faces: TrainingFaces, progress: Progress = SILENT
) -> Distillation:
    """Let each teacher embed the training set, or find that in the cache.

    Raises:
        RefusedError: the weights of one are random.
        BadInputError: an image can't be read, or an embedding is of no use.
    """
    made = tuple(teacher_targets(one.network, faces, progress) for one in teachers)
    return Distillation(tuple(teachers), made)


def teacher_targets(
    teacher: Network,
    faces: TrainingFaces,
    progress: Progress = SILENT,
) -> Tensor:
    """Return a teacher's embeddings of each image and of its mirror, of length 1: `(N, 2, E)`.

    What is interrupted goes on where it was, 2,048 images at a time.

    Args:
        teacher: a trained network, with its own input size and preprocessing.
        faces: N images.
        progress: told how many images are embedded.

    Raises:
        RefusedError: its weights are random.
        BadInputError: an image can't be read, or an embedding is of no use.
    """
    seen = aligned(faces, range(len(faces)))
    made = extract(seen, seen.keys, open_teacher(teacher), "concatenation", progress)
    both = made.embeddings.reshape(len(faces), 2, -1)
    return torch.from_numpy(both / np.linalg.norm(both, axis=2, keepdims=True))


def principal_directions(vectors: Tensor, count: int) -> Tensor:
    """Return the directions along which vectors `(N, E)` are largest: `(E, count)`, orthonormal.

    They are the first eigenvectors of the vectors' second moments, about zero and not the mean,
    since cosines are what is kept. The largest element of each is positive, so that they are
    the same wherever they are computed, up to rounding.
    """
    moments = torch.zeros(vectors.shape[1], vectors.shape[1], dtype=torch.float64)
    for start in range(0, len(vectors), _ROWS):
        part = vectors[start : start + _ROWS].double()
        moments += part.T @ part
    _, directions = torch.linalg.eigh(moments)  # from the smallest on
    directions = directions.flip(1)[:, :count]
    largest = directions.gather(0, directions.abs().argmax(0, keepdim=True))
    turned: Tensor = directions * largest.sign()
    return turned
