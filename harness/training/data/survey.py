"""Looks at every image of a training set once, to find damaged ones before hours are spent."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facebench.architectures.errors import BadInputError
from facebench.harness.stats.arrays import IntArray
from facebench.harness.storage import cache, fingerprints
from facebench.harness.storage.progress import SILENT, Progress
from facebench.harness.training.data.source import Source
from facebench.harness.verification import images

_CHUNK = 256
# A face crop is small; nothing is decoded that claims to be larger than this.
MOST_PIXELS = 4096**2


@dataclass(frozen=True, eq=False)
class Survey:
    """It is what is known of N images without decoding them.

    Attributes:
        digests: `(N, 32)`, SHA-256 of the bytes.
        sizes: `(N, 2)`, height and width in pixels; zeros where it is no image, or one
            of more than `MOST_PIXELS`.
    """

    digests: npt.NDArray[np.uint8]
    sizes: IntArray


def survey(source: Source, progress: Progress = SILENT) -> Survey:
    """Read every image once, or find what was seen in the cache.

    Raises:
        BadInputError: one can't be read.
    """

    def make(folder: Path) -> None:
        count = len(source.names)
        digests, sizes = np.empty((count, 32), np.uint8), np.zeros((count, 2), np.int64)

        def look(start: int) -> None:
            for index in range(start, min(start + _CHUNK, count)):
                data = source.images.read(index)
                digests[index] = np.frombuffer(hashlib.sha256(data).digest(), np.uint8)
                sizes[index] = _size(data)

        pool = ThreadPoolExecutor(os.cpu_count())
        try:
            for number, _ in enumerate(pool.map(look, range(0, count, _CHUNK)), start=1):
                progress.at(min(number * _CHUNK, count), count)
        finally:
            # After an error nobody waits for the rest.
            pool.shutdown(cancel_futures=True)
        np.save(folder / "digests.npy", digests)
        np.save(folder / "sizes.npy", sizes)

    key = cache.digest(source.stamp, fingerprints.code(__name__))
    folder = cache.entry("training-survey", key, make)
    digests, sizes = (
        np.load(folder / f"{name}.npy", allow_pickle=False) for name in ("digests", "sizes")
    )
    return Survey(digests, sizes)


def require_images(source: Source, seen: Survey, rows: IntArray) -> None:
    """Check that the images in these rows of a source, `(K,)`, are images.

    Raises:
        BadInputError: some are not; it names the first and says how many.
    """
    bad = rows[(seen.sizes[rows] == 0).any(axis=1)]
    if len(bad):
        raise BadInputError(
            f"{source.images.describe(int(bad[0]))} is no image, or one of more than "
            f"{MOST_PIXELS:,} pixels ({len(bad):,} of {len(rows):,} are): copy the set anew, or "
            "leave them out by a list ('train --without')"
        )


def _size(data: bytes) -> tuple[int, int]:
    try:
        height, width = images.size(data, "")
    except BadInputError:
        return 0, 0
    return (height, width) if 0 < height * width <= MOST_PIXELS else (0, 0)
