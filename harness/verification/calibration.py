"""Draws faces that set the ranges of int8's activations, and keeps them apart from the test's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property

import numpy as np

from facebench.architectures.errors import BadInputError, RefusedError
from facebench.architectures.registry import Preprocessing
from facebench.harness.stats.arrays import FloatArray, Picture
from facebench.harness.storage import cache
from facebench.harness.verification.alignment import align
from facebench.harness.verification.embedding import preprocess
from facebench.harness.verification.faces import FaceSet
from facebench.harness.verification.preparation import locate


@dataclass(frozen=True, eq=False)
class Calibration:
    """It holds faces that set the ranges of int8's activations.

    Attributes:
        name: of the dataset they are drawn from.
        pictures: N aligned faces `(H, W, 3)`, RGB, 0 to 255.
        preprocessing: what the network's input expects.
    """

    name: str
    pictures: tuple[Picture, ...] = field(repr=False)
    preprocessing: Preprocessing

    @cached_property
    def digest(self) -> str:
        """Hash of all that the network is shown."""
        pixels = hashlib.sha256()
        for picture in self.pictures:
            pixels.update(np.ascontiguousarray(picture).tobytes())
        return cache.digest(
            self.name,
            [picture.shape for picture in self.pictures],
            asdict(self.preprocessing),
            pixels.hexdigest(),
        )

    def batches(self, size: int = 1) -> Iterator[FloatArray]:
        """Yield network inputs `(size, 3, H, W)`, the last one shorter where N is no multiple."""
        for start in range(0, len(self.pictures), size):
            yield preprocess(self.pictures[start : start + size], self.preprocessing)


def calibration_of(
    faces: FaceSet,
    preprocessing: Preprocessing,
    input_size: tuple[int, int],
    count: int = 256,
    seed: int = 0,
) -> Calibration:
    """Draw faces evenly over identities, and align them.

    Args:
        faces: where they are drawn from; all of them where there are fewer than `count`. Where
            nobody says where they are, the images are aligned crops, as in training.
        preprocessing: what the network's input expects.
        input_size: its height and width in pixels.
        count: how many.
        seed: of the draw.

    Raises:
        BadInputError: there are landmarks, but of none of the images or in another order; an
            image can't be read or aligned; or all are the same.
    """
    faces = locate(faces, "file" if faces.landmarks else "aligned")
    keys = _drawn(faces, count, seed)
    if not keys:
        raise BadInputError(
            f"dataset {faces.name} has no face to calibrate int8 on: give one with landmarks"
        )
    pictures = tuple(_aligned(faces, key, input_size) for key in keys)
    if len(pictures) > 1 and all(np.array_equal(pictures[0], one) for one in pictures):
        raise BadInputError(
            f"all {len(pictures)} images of {faces.name} to calibrate int8 on are the same: give "
            "photographs of several faces"
        )
    return Calibration(faces.name, pictures, preprocessing)


def require_disjoint(calibration_faces: FaceSet, test_faces: FaceSet) -> None:
    """Refuse to score int8 on faces or people that set its ranges.

    Raises:
        RefusedError: an image, by its bytes, or a named identity is in both.
    """
    first, second = calibration_faces, test_faces
    mend = f"int8 calibrated on {first.name} is not scored on {second.name}; calibrate on another"
    # Names first: bytes have to be read.
    people = {first.identities[key] for key in first.keys if key in first.identities}
    for key in second.keys:
        if second.identities.get(key) in people:
            raise RefusedError(f"{second.identities[key]} is in both data sets: {mend}")
    known = {value: key for key, value in first.image_digests.items()}
    for key, value in second.image_digests.items():
        if value in known:
            raise RefusedError(f"{key} is the same image as {known[value]}: {mend}")


def _drawn(faces: FaceSet, count: int, seed: int) -> list[str]:
    """Return keys of images, one of each identity before the second of any."""
    rng = np.random.default_rng(seed)
    people: dict[str, list[str]] = {}
    for number in rng.permutation(len(faces.keys)):
        key = faces.keys[number]
        if key in faces.landmarks:
            people.setdefault(faces.identities.get(key, key), []).append(key)
    ranks = [(rank, key) for keys in people.values() for rank, key in enumerate(keys)]
    ranks.sort(key=lambda ranked: ranked[0])
    return [key for _, key in ranks[:count]]


def _aligned(faces: FaceSet, key: str, input_size: tuple[int, int]) -> Picture:
    try:
        return align(faces.picture(key), faces.landmarks[key], input_size)
    except BadInputError as error:
        raise BadInputError(
            f"{faces.files.describe(key)} cannot calibrate int8: {error}"
        ) from error
