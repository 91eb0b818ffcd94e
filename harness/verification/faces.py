"""Describes faces to verify: pairs, pictures and landmarks, however they are kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from functools import cached_property
from itertools import compress
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from facebench.harness.stats.arrays import Booleans, Floats, Picture, Reals
from facebench.harness.verification.files import Files
from facebench.harness.verification.images import decode

# Rows of a table, of which there are millions.
Rows = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Pair:
    """A pair is two images to compare.

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
    """It is a dataset that is opened: images, and where the face is in each.

    Nothing is decoded until it is asked for, and nothing decoded is kept, so
    memory does not grow with the size of the images. That a file exists or can be
    decoded is not known yet: `inspection` finds that out.

    Attributes:
        name: of the dataset.
        label: what limits the meaning of its scores; empty for real faces.
        files: the encoded images by key.
        landmarks: by key, `(5, 2)`: x and y in pixels of the image, of the eyes,
            the nose and the corners of the mouth; left before right as seen in the
            image. Images whose face is not found have none.
        identities: who is in the image, by key; empty where the dataset does not tell.
        left_out: files beside the images that are not read, counted by suffix or place.
    """

    name: str
    label: str
    files: Files
    landmarks: Mapping[str, Floats]
    identities: Mapping[str, str]
    left_out: Mapping[str, int] = field(default_factory=dict, kw_only=True)

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the images that the protocol uses, each once, in the order of first use."""
        raise NotImplementedError

    @property
    def protocol(self) -> Any:
        """Return what is done with the images, in JSON's types; part of the digest."""
        raise NotImplementedError

    def picture(self, key: str) -> Picture:
        """Return the decoded image, `(H, W, 3)`, RGB, 0 to 255.

        Raises:
            BadInputError: it can't be read, is truncated or is no image.
        """
        return decode(self.files.read(key), self.files.describe(key))

    @cached_property
    def image_digests(self) -> Mapping[str, bytes]:
        """Return the SHA-256 of every image's bytes, by key.

        Reads all images once, without decoding.
        """
        return {key: hashlib.sha256(self.files.read(key)).digest() for key in self.keys}

    @cached_property
    def digest(self) -> str:
        """Hash all that a score depends on: protocol, landmarks and every image's bytes (SHA-256).

        The same faces have the same digest in a folder and in an archive.
        """
        total = hashlib.sha256(json.dumps(self.protocol).encode())
        for key in self.keys:
            points = self.landmarks.get(key)
            total.update(b"" if points is None else np.asarray(points, np.float64).tobytes())
            total.update(self.image_digests[key])
        return total.hexdigest()


@dataclass(frozen=True)
class ImageSet(FaceSet):
    """It holds images of people that nothing is compared of, such as those to calibrate on."""

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """See `FaceSet`; they are those of `identities`."""
        return tuple(self.identities)

    @property
    def protocol(self) -> Any:
        """See `FaceSet`."""
        return list(self.identities.items())


@dataclass(frozen=True)
class PairSet(FaceSet):
    """It holds faces that are compared in pairs: verification, 1:1.

    Attributes:
        pairs: in the order of publication.
        groups: the name of each pair's group, such as people of one origin; empty where the
            dataset has none.
    """

    pairs: tuple[Pair, ...]
    groups: tuple[str, ...] = field(default=(), kw_only=True)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """See `FaceSet`."""
        return tuple(dict.fromkeys(key for pair in self.pairs for key in (pair.first, pair.second)))

    @property
    def protocol(self) -> Any:
        """See `FaceSet`."""
        pairs = [astuple(pair) for pair in self.pairs]
        return [pairs, list(self.groups)] if self.groups else pairs


@dataclass(frozen=True)
class SearchSet(FaceSet):
    """It holds faces that are searched for among others: identification, 1:N.

    Attributes:
        probes: images of identities with at least two images each.
        distractors: images of people who are none of the probes' identities.
    """

    probes: tuple[str, ...]
    distractors: tuple[str, ...]

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """See `FaceSet`."""
        return tuple(dict.fromkeys((*self.probes, *self.distractors)))

    @property
    def protocol(self) -> Any:
        """See `FaceSet`."""
        return [[(key, self.identities[key]) for key in self.probes], list(self.distractors)]


@dataclass(frozen=True, eq=False)
class TemplateImages(FaceSet):
    """It holds images that are joined into T templates, each several images of one person.

    Frames of one video are a *medium*, and so is a single photograph.

    Attributes:
        images: N of them, each in one template.
        template: `(N,)`; the row of each image's template, 0 to T - 1.
        medium: `(N,)`; a number for each medium of a template.
        weights: `(N,)`, not negative; how sure its publisher's detector was of each face.
        people: `(T,)`; a number for who is in each template.
        missed: `(T,)`; whether no face was found in any image of a template.
    """

    images: tuple[str, ...]
    template: Rows
    medium: Rows
    weights: Reals
    people: Rows
    missed: Booleans

    @property
    def keys(self) -> tuple[str, ...]:
        """See `FaceSet`."""
        return self.images

    @cached_property
    def protocol(self) -> Any:
        """See `FaceSet`; a hash of the arrays, which have millions of elements."""
        arrays = (self.template, self.medium, self.weights, *self.compared)
        return [list(self.images), hashed(*arrays)]

    @property
    def compared(self) -> tuple[npt.NDArray[Any], ...]:
        """Return the arrays, of any shape, that say which templates are compared."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class TemplateSet(TemplateImages):
    """It holds templates that are compared in pairs: 1:1.

    Attributes:
        first: `(P,)`; the row of one template of each pair.
        second: `(P,)`; that of the other.
        same: `(P,)`; whether both show one person.
        over: `identities`, where the dataset says who is in a template, or `groups` of templates
            that genuine pairs join.
    """

    first: Rows
    second: Rows
    same: Booleans
    over: str

    @property
    def compared(self) -> tuple[npt.NDArray[Any], ...]:
        """See `TemplateImages`."""
        return self.first, self.second, self.same


@dataclass(frozen=True, eq=False)
class GallerySet(TemplateImages):
    """It holds templates that are searched for in galleries: 1:N.

    Attributes:
        galleries: of each gallery the rows of its templates, one a person.
        probes: `(P,)`; the rows of the templates that are searched for.
    """

    galleries: tuple[Rows, ...]
    probes: Rows

    @property
    def compared(self) -> tuple[npt.NDArray[Any], ...]:
        """See `TemplateImages`."""
        return (*self.galleries, self.probes, self.people)


@dataclass(frozen=True, eq=False)
class Trial:
    """It says which of a set's images one trial takes, by their rows.

    Attributes:
        test: `(K,)`; each is compared with each other.
        gallery: `(G,)`; who is known.
        probes: `(Q,)`; who is searched for in the gallery, strangers among them.
    """

    test: Rows
    gallery: Rows
    probes: Rows


@dataclass(frozen=True, eq=False)
class TrialSet(FaceSet):
    """It holds faces of which several trials each take some: verification and search in each.

    Attributes:
        images: N of them.
        people: `(N,)`; a number for who is in each.
        trials: what is done with them.
    """

    images: tuple[str, ...]
    people: Rows
    trials: tuple[Trial, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """See `FaceSet`."""
        return self.images

    @cached_property
    def protocol(self) -> Any:
        """See `FaceSet`; a hash of the arrays."""
        arrays = [array for one in self.trials for array in (one.test, one.gallery, one.probes)]
        return [list(self.images), hashed(self.people, *arrays)]

    def without(self, lacking: frozenset[str]) -> Self:
        """Return the set without some of its images, which no trial takes any more."""
        left = np.array([key not in lacking for key in self.images], np.bool_)
        row = np.cumsum(left, dtype=np.int32) - 1
        trials = tuple(
            Trial(*(row[rows[left[rows]]] for rows in (one.test, one.gallery, one.probes)))
            for one in self.trials
        )
        images = tuple(compress(self.images, left))
        return replace(self, images=images, people=self.people[left], trials=trials)


def hashed(*arrays: Any) -> str:
    """Return the SHA-256 of arrays of any shape, whatever the width of their numbers."""
    total = hashlib.sha256()
    for array in arrays:
        wide = np.float64 if array.dtype.kind == "f" else np.int64
        total.update(np.ascontiguousarray(array, np.dtype(wide)).tobytes())
    return total.hexdigest()


class LandmarkRows(Mapping[str, Floats]):
    """They are the landmarks of many images in one array: a tenth of what a dict of arrays takes.

    Args:
        keys: N images.
        points: `(N, 5, 2)`, x and y in pixels.
    """

    def __init__(self, keys: Sequence[str], points: Floats) -> None:
        self._row = {key: row for row, key in enumerate(keys)}
        self._points = points

    def __getitem__(self, key: str) -> Floats:
        return np.asarray(self._points[self._row[key]])

    def __iter__(self) -> Iterator[str]:
        return iter(self._row)

    def __len__(self) -> int:
        return len(self._row)
