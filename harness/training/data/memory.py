"""Provides all images of a training set decoded and held in memory, where they fit."""

from __future__ import annotations

import mmap
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import psutil

from facebench.harness.storage.progress import SILENT, Progress
from facebench.harness.training.data.source import SIZE
from facebench.harness.training.data.training_faces import TrainingFaces

# Of the memory that is free: the network and everything else need some too.
SHARE = 0.5
_CHUNK = 64


def held(faces: TrainingFaces, share: float = SHARE, progress: Progress = SILENT) -> TrainingFaces:
    """Return the same faces, decoded once, 38 kB each; or as they are where memory is short.

    Worker processes that are forked later share the one copy.

    Args:
        faces: a training set.
        share: of the free memory that may be used.
        progress: told how many images are decoded.

    Raises:
        BadInputError: an image is damaged.
    """
    shape = (len(faces), *SIZE, 3)
    size = int(np.prod(shape))
    if faces.pixels is not None or size > share * psutil.virtual_memory().available:
        return faces
    # Anonymous and shared: unlike /dev/shm, containers do not limit it to 64 MB.
    pixels = np.frombuffer(mmap.mmap(-1, size), np.uint8).reshape(shape)

    def fill(start: int) -> None:
        for index in range(start, min(start + _CHUNK, len(faces))):
            pixels[index] = faces.image(index)

    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        for number, _ in enumerate(pool.map(fill, range(0, len(faces), _CHUNK)), start=1):
            progress.at(min(number * _CHUNK, len(faces)), len(faces))
    finally:
        # After an error nobody waits for the rest.
        pool.shutdown(cancel_futures=True)
    return replace(faces, pixels=pixels)
