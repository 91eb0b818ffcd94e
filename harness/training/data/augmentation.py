"""Changes images of a batch at random; by default they are only mirrored, as in the paper."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from facebench.architectures.errors import BadInputError
from facebench.harness.stats.arrays import Floats, Picture

# Random numbers for one image: for the mirroring, and for the four below.
DRAWS = 5
_MOST_SHIFT = 32


@dataclass(frozen=True)
class Augmentation:
    """It says how far an image is changed at most, each time by another amount.

    Attributes:
        shift: pixels to each side; what comes into view is black, as where a face is
            aligned at the edge of a photograph.
        brightness: a share of the full scale added or taken, 0 to 1.
        contrast: a share by which differences from the image's mean grow or shrink, 0 to 1.

    Raises:
        BadInputError: one is out of range.
    """

    shift: int = 0
    brightness: float = 0.0
    contrast: float = 0.0

    def __post_init__(self) -> None:
        good = 0 <= self.brightness <= 1 and 0 <= self.contrast <= 1
        if not good or not 0 <= self.shift <= _MOST_SHIFT:
            raise BadInputError(
                f"an augmentation of {self} is not valid: shift is 0 to {_MOST_SHIFT} pixels, "
                "brightness and contrast are 0 to 1"
            )


NONE = Augmentation()


def augment(picture: Picture, options: Augmentation, draws: Floats) -> Picture:
    """Return a changed copy, or the picture itself where nothing is asked for.

    Args:
        picture: `(H, W, 3)`.
        options: how far it may change.
        draws: `(4,)`, random, in [0, 1).
    """
    if options == NONE:
        return picture
    if options.shift:
        across, down = np.floor(draws[:2] * (2 * options.shift + 1)).astype(int) - options.shift
        move = np.array([[1.0, 0.0, across], [0.0, 1.0, down]])
        height, width = picture.shape[:2]
        picture = np.asarray(cv2.warpAffine(picture, move, (width, height)), np.uint8)
    if options.brightness or options.contrast:
        brighter = 255 * options.brightness * (2 * draws[2] - 1)
        steeper = 1 + options.contrast * (2 * draws[3] - 1)
        mean = float(picture.mean())
        pixels = (picture.astype(np.float32) - mean) * steeper + (mean + brighter)
        picture = np.rint(np.clip(pixels, 0, 255)).astype(np.uint8)
    return picture
