"""Faces to verify: pairs, pictures and landmarks, however they are kept."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from PIL import Image

from architectures.errors import BadInputError
from harness.verification.files import Files

FloatArray = npt.NDArray[np.floating]
# (H, W, 3), RGB, 0 to 255.
Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Pair:
    """Two images to compare.

    Attributes:
        first: key of an image.
        second: key of another image.
        same: whether both show one person (genuine) or two (impostor).
        fold: which part of the cross-validation it belongs to, from 0.
    """

    first: str
    second: str
    same: bool
    fold: int


@dataclass(frozen=True)
class FaceSet:
    """A dataset that is opened: its pairs are known to have images and landmarks.

    Nothing is decoded until it is asked for, and nothing decoded is kept, so
    memory does not grow with the number of images.

    Attributes:
        name: of the dataset.
        label: what limits the meaning of its scores; empty for real faces.
        pairs: in the order of publication.
        files: the encoded images by key.
        landmarks: by key, `(5, 2)`: x and y in pixels of the image, of the eyes,
            the nose and the corners of the mouth; left before right as seen in the image.
    """

    name: str
    label: str
    pairs: tuple[Pair, ...]
    files: Files
    landmarks: Mapping[str, FloatArray]

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The images that pairs are made of, in the order of first use."""
        return tuple(dict.fromkeys(key for pair in self.pairs for key in (pair.first, pair.second)))

    def picture(self, key: str) -> Picture:
        """The decoded image, `(H, W, 3)`, RGB, 0 to 255.

        Raises:
            BadInputError: it can't be read, is truncated or is no image.
        """
        return decode(self.files.read(key), self.files.describe(key))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that a score depends on: pairs, landmarks and every image's bytes.

        The same faces have the same digest in a folder and in an archive.
        Reads all images once, without decoding them.
        """
        total = hashlib.sha256(repr([astuple(pair) for pair in self.pairs]).encode())
        for key in self.keys:
            total.update(np.asarray(self.landmarks[key], np.float64).tobytes())
            total.update(hashlib.sha256(self.files.read(key)).digest())
        return total.hexdigest()


def decode(data: bytes, name: str) -> Picture:
    """The pixels of an encoded image, `(H, W, 3)`, RGB, 0 to 255; grey ones are repeated.

    Args:
        data: a whole file's bytes.
        name: what a message calls the image.

    Raises:
        BadInputError: the data is truncated or no image.
    """
    try:
        # Pillow, because OpenCV fills the missing part of a truncated JPEG with grey.
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadInputError(
            f"{name} is truncated or no image: copy it anew from where the dataset came from"
        ) from error
