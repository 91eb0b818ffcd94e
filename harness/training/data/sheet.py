"""Shows what a recipe makes of faces: a sheet with some of them, each changed several times."""

from __future__ import annotations

import numpy as np
import torch

from facebench.harness.stats.arrays import Picture
from facebench.harness.training.data.augmentation import Augmentation, Draw, augment
from facebench.harness.training.data.source import SIZE
from facebench.harness.training.data.training_faces import TrainingFaces


def sheet(faces: TrainingFaces, options: Augmentation, rows: int = 6, columns: int = 10) -> Picture:
    """Return faces from all over a training set side by side, the same each time.

    Args:
        faces: the training set.
        options: how images are changed.
        rows: one for each face.
        columns: the first shows it as it is, the others each changed anew.

    Returns:
        `(112 rows, 112 columns, 3)`, RGB.

    Raises:
        BadInputError: an image can't be read, or is damaged.
    """
    places = np.linspace(0, len(faces) - 1, rows).astype(int).tolist()
    pictures = np.repeat(np.stack([faces.image(place) for place in places]), columns, axis=0)
    draws = torch.rand(len(pictures), len(Draw), generator=torch.Generator().manual_seed(0))
    images = torch.from_numpy(pictures).permute(0, 3, 1, 2)
    changed = augment(images, options, draws).permute(0, 2, 3, 1).numpy()
    grid = changed.reshape(rows, columns, *SIZE, 3).copy()
    grid[:, 0] = pictures[::columns].reshape(rows, *SIZE, 3)
    grid = grid.swapaxes(1, 2)
    return np.ascontiguousarray(grid.reshape(rows * SIZE[0], columns * SIZE[1], 3))
