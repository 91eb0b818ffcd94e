"""A training set that is open: each face is decoded and aligned when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from facebench.architectures.errors import BadInputError
from facebench.harness.stats.arrays import Floats, IntArray, Picture
from facebench.harness.training.data.source import SIZE, Source
from facebench.harness.verification.alignment import align
from facebench.harness.verification.images import decode


@dataclass(frozen=True, eq=False)
class TrainingFaces:
    """It is a training set, cleaned and ready to be read by any number of processes.

    Attributes:
        labels: `(N,)`, identity numbers, 0 to classes - 1; each occurs.
        identities: names, by number.
        digest: SHA-256 of names, labels, landmarks and every image's bytes. A folder
            and a tar of it have the same.
        source: where the images are.
        rows: `(N,)`, which of the source's images they are.
        digests: `(N, 32)`, of each image with its landmarks.
        points: `(N, 5, 2)`, landmarks in pixels of the stored image; None where it is aligned.
        notes: sentences on what was left out, and why.
        pixels: `(N, 112, 112, 3)`, all images decoded, where they are held in memory.
    """

    labels: IntArray
    identities: tuple[str, ...]
    digest: str
    source: Source = field(repr=False)
    rows: IntArray = field(repr=False)
    digests: npt.NDArray[np.uint8] = field(repr=False)
    points: Floats | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()
    pixels: npt.NDArray[np.uint8] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.labels)

    def image(self, index: int) -> Picture:
        """Return an aligned face, `(112, 112, 3)`, RGB, 0 to 255.

        Raises:
            BadInputError: it can't be read, or is damaged.
        """
        if self.pixels is not None:
            held: Picture = self.pixels[index]
            return held
        row = int(self.rows[index])
        where = self.source.images.describe(row)
        picture = decode(self.source.images.read(row), where)
        if self.points is not None:
            return _aligned(picture, self.points[index], where)
        if picture.shape[:2] == SIZE:
            return picture
        # Averaging over areas, which does not alias, where the image gets smaller.
        way = cv2.INTER_AREA if picture.shape[0] > SIZE[0] else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(picture, SIZE, interpolation=way), np.uint8)

    def name(self, index: int) -> str:
        """Return `identity/image`, as the training set names it."""
        return self.source.names[int(self.rows[index])]


def _aligned(picture: Picture, points: Floats, where: str) -> Picture:
    try:
        return align(picture, points, SIZE)
    except BadInputError as error:
        raise BadInputError(f"{where} cannot be aligned: {error}") from error
