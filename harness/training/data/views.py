"""Training sets as verification sees faces, so that detectors and networks take them too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from facebench.architectures.errors import BadInputError
from facebench.harness.stats.arrays import IntArray, Picture
from facebench.harness.training.data.source import SIZE, Source
from facebench.harness.training.data.survey import Survey
from facebench.harness.training.data.training_faces import TrainingFaces
from facebench.harness.verification.alignment import template
from facebench.harness.verification.faces import FaceSet
from facebench.harness.verification.landmarks import AlignedLandmarks


class _Named:
    """It holds images of a source by name: `Files`."""

    def __init__(self, source: Source, rows: Mapping[str, int]) -> None:
        self._source = source
        self._rows = rows

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def read(self, name: str) -> bytes:
        if name not in self._rows:
            raise BadInputError(f"{self._source.path} holds no image {name}")
        return self._source.images.read(self._rows[name])

    def describe(self, name: str) -> str:
        row = self._rows.get(name)
        return (
            f"{name} in {self._source.path}" if row is None else self._source.images.describe(row)
        )


@dataclass(frozen=True)
class _Undetected(FaceSet):
    """Images as they are stored."""

    digests: Mapping[str, bytes]

    @property
    def keys(self) -> tuple[str, ...]:
        """See `FaceSet`."""
        return tuple(self.digests)

    @property
    def protocol(self) -> Any:
        """See `FaceSet`."""
        return list(self.identities.items())

    @cached_property
    def image_digests(self) -> Mapping[str, bytes]:
        """See `FaceSet`; they are known already."""
        return self.digests


@dataclass(frozen=True)
class _Aligned(_Undetected):
    """It holds images aligned at 112x112."""

    training: TrainingFaces
    places: Mapping[str, int]

    def picture(self, key: str) -> Picture:
        """See `FaceSet`."""
        return self.training.image(self.places[key])


def undetected(source: Source, seen: Survey, rows: IntArray) -> FaceSet:
    """Return the images in rows `(K,)` of a source, for a detector to look for faces in."""
    names = {source.names[row]: row for row in rows.tolist()}
    identities = {name: source.identities[source.people[row]] for name, row in names.items()}
    digests = {name: seen.digests[row].tobytes() for name, row in names.items()}
    return _Undetected(source.path.name, "", _Named(source, names), {}, identities, digests)


def aligned(training: TrainingFaces, indices: Sequence[int]) -> FaceSet:
    """Return some of a training set's faces, for a network to embed."""
    places = {training.name(index): index for index in indices}
    rows = {name: int(training.rows[index]) for name, index in places.items()}
    identities = {
        name: training.identities[training.labels[index]] for name, index in places.items()
    }
    return _Aligned(
        training.source.path.name,
        "",
        _Named(training.source, rows),
        AlignedLandmarks(places, lambda key: template(SIZE)),
        identities,
        {name: np.asarray(training.digests[index]).tobytes() for name, index in places.items()},
        training,
        places,
    )
