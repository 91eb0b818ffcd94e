"""Embeds the training set with a teacher, once, and keeps that in the cache by content."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from facebench.harness.models.networks import Network
from facebench.harness.storage.progress import SILENT, Progress
from facebench.harness.training.data.teacher import open_teacher
from facebench.harness.training.data.training_faces import TrainingFaces
from facebench.harness.training.data.views import aligned
from facebench.harness.verification.embedding import extract


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
