"""Prepares a dataset for scoring: finds where the faces are, and says what if there are none.

A score depends on how faces were found and on what became of the rest, so both
are part of a case: `identity` names the first, `Prepared` counts the second.
"""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from facebench.architectures.errors import BadInputError, UnknownNameError
from facebench.harness.machine.environment import version
from facebench.harness.stats.arrays import Floats
from facebench.harness.storage import cache, fingerprints
from facebench.harness.storage.progress import SILENT, Progress
from facebench.harness.verification.alignment import in_square, template
from facebench.harness.verification.detectors.registry import DETECTORS, Detector, Find
from facebench.harness.verification.faces import (
    FaceSet,
    PairSet,
    SearchSet,
    TemplateImages,
    TrialSet,
)
from facebench.harness.verification.images import facts
from facebench.harness.verification.inspection import require_order
from facebench.harness.verification.landmarks import AlignedLandmarks
from facebench.harness.verification.templates import without_images

Set = TypeVar("Set", bound=FaceSet)
# Told how many images are done, and of how many.

# What becomes of images in which no face was found:
# refuse   nothing is scored;
# exclude  what they are part of is left out, and counted;
# reject   their pairs score -1, so that they are never called the same, as a failure to
#          make a template counts in NIST's Face Recognition Vendor Test (P. Grother, M. Ngan,
#          K. Hanaoka, "Face Recognition Vendor Test Part 1: Verification", NIST);
# centre   the face is taken to fill the middle of the image: see `central`.
ABSENT = ("refuse", "exclude", "reject", "centre")

# Sizes of aligned crops of which one frame is meant. Of 128x128 there are two in use: Light
# CNN's, and InsightFace's, where the face is as large as in 112x112 and lies lower.
ALIGNED = ((112, 112), (112, 96), (96, 96), (160, 160), (224, 224))

# Sources that need no detector.
_FILE, _ALIGNED = "file", "aligned"
# Images in one entry of the cache: what an interruption can lose.
_CHUNK = 1024
# What decodes, resizes and executes, beside this project's own code.
_PACKAGES = ("onnxruntime", "opencv-python-headless", "pillow")


@dataclass(frozen=True)
class Prepared(Generic[Set]):
    """It holds faces that are ready to be scored, and what that took.

    Attributes:
        faces: what remains; every image has landmarks, but for those in `rejected`.
        not_found: the images in which no face was found, whatever became of them.
        excluded_pairs: pairs that are left out.
        excluded_images: images that no longer take part: those without a face, and
            those that were only there to be compared with them.
        rejected: images whose pairs score -1; there is nothing to embed.
    """

    faces: Set
    not_found: tuple[str, ...] = ()
    excluded_pairs: int = 0
    excluded_images: int = 0
    rejected: frozenset[str] = frozenset()


def locate(
    faces: Set,
    source: str,
    progress: Progress = SILENT,
    begin: float = 0.0,
) -> Set:
    """Return the same faces, with landmarks from the source.

    What a detector finds is cached in chunks, by the images' bytes, the weights
    and the detectors' code, so that an interrupted run goes on where it was.

    Args:
        faces: where the images are.
        source: `file`, the dataset's own landmarks; `aligned`, where the images are
            aligned crops, each of one of the sizes in `ALIGNED`; or a detector, such as
            `scrfd`, or `scrfd:<path>` with weights of the user's.
        progress: told how many images the detector has seen.
        begin: the share of the images to begin after, so that machines that share what they
            find begin at different places; the rest follows.

    Raises:
        UnknownNameError: there is no such source.
        UnavailableError: the detector's weights are neither installed nor named.
        BadInputError: the weights are not what they should be, or an image can't be read,
            or landmarks of the dataset's own are in another order.
    """
    if source == _FILE:
        require_order(faces)
        return faces
    if source == _ALIGNED:
        _aligned_points(faces, faces.keys[0])  # refused before the others are read
        return replace(
            faces, landmarks=AlignedLandmarks(faces.keys, lambda key: _aligned_points(faces, key))
        )
    detector, path = _parsed(source)
    return replace(faces, landmarks=_detected(faces, detector, path, progress, begin))


def identity(source: str) -> str:
    """Return how a case names a source: `file`, `aligned`, or such as `scrfd@5e4447f5`.

    What follows the `@` is the beginning of the SHA-256 of the weights; of all
    their hashes where they are in several files.

    Raises:
        UnknownNameError, UnavailableError, BadInputError: see `locate`.
    """
    if source in (_FILE, _ALIGNED):
        return source
    detector, path = _parsed(source)
    return f"{detector.name}@{_weights(detector, path)[:8]}"


def settle(faces: Set, absent: str) -> Prepared[Set]:
    """Decide what becomes of the images that have no landmarks.

    In a search and in trials, `reject` leaves them out as `exclude` does: a search counts ranks,
    and to score -1 gives a distractor the last rank of all, where it changes
    nothing, while a probe of -1 would be a miss for whatever network is looked at
    and so measure the detector. A template is made of the images that have a face; where
    none has, its pairs score -1 or are left out.

    Args:
        faces: pairs or a search.
        absent: one of `ABSENT`.

    Raises:
        BadInputError: `absent` is unknown; or it is `refuse` and a face was not
            found; or nothing remains.
    """
    if absent not in ABSENT:
        raise BadInputError(f"unknown choice {absent!r}: use one of {', '.join(ABSENT)}")
    lacking = tuple(key for key in faces.keys if key not in faces.landmarks)
    if not lacking:
        return Prepared(faces)
    if absent == "centre":
        points = {key: central(*faces.picture(key).shape[:2]) for key in lacking}
        return Prepared(replace(faces, landmarks={**faces.landmarks, **points}), lacking)
    if absent == "refuse":
        others = ", ".join(ABSENT[1:])
        raise _not_found(faces, lacking, f"say with --absent what becomes of them ({others})")
    if len(lacking) == len(faces.keys):
        raise _nothing_left(faces, lacking)
    if absent == "reject" and isinstance(faces, PairSet):
        return Prepared(faces, lacking, rejected=frozenset(lacking))
    if isinstance(faces, TemplateImages):
        left, pairs = without_images(faces, frozenset(lacking), keep=absent == "reject")
        return Prepared(left, lacking, pairs, len(lacking))
    return _without(faces, lacking)


def central(height: int, width: int) -> Floats:
    """Return landmarks that make the largest square in the middle of an image the aligned face.

    The 112x112 template, scaled to the image's shorter side. Detectors fail
    most often where a face fills the image, and there this is about right; in a
    wide photograph it is not, and the score suffers as it should.

    Args:
        height: in pixels.
        width: in pixels.

    Returns:
        `(5, 2)`: x and y in pixels.
    """
    side = min(height, width)
    corner = np.array([(width - side) / 2, (height - side) / 2])
    # Pixels have their places at their centres.
    return np.asarray(corner + in_square(side))


def _aligned_points(faces: FaceSet, key: str) -> Floats:
    where = faces.files.describe(key)
    size = facts(faces.files.read(key), where).size
    if size not in ALIGNED:
        known = ", ".join(f"{height}x{width}" for height, width in ALIGNED)
        raise BadInputError(
            f"{where} is {size[0]}x{size[1]}, and of aligned crops of that size it is not known "
            f"where the face is (only of {known}): find the faces with --landmarks scrfd, or "
            "give landmarks.csv beside the images, or resize the crops"
        )
    return template(size)


def _parsed(source: str) -> tuple[Detector, Path | None]:
    name, _, rest = source.partition(":")
    if name not in DETECTORS:
        known = ", ".join([_FILE, _ALIGNED, *(f"{each}[:PATH]" for each in DETECTORS.names())])
        raise UnknownNameError(f"unknown source of landmarks {source!r}: use one of {known}")
    return DETECTORS[name], Path(rest).expanduser() if rest else None


def _weights(detector: Detector, path: Path | None) -> str:
    """Return SHA-256 of a detector's file, or a hash of the hashes of several."""
    hashes = [cache.file_digest(file) for file in detector.files(path)]
    return hashes[0] if len(hashes) == 1 else cache.digest(hashes)


def _detected(
    faces: FaceSet, detector: Detector, path: Path | None, progress: Progress, begin: float
) -> dict[str, Floats]:
    """Landmarks by image; images in which the detector finds no face have none."""
    code = fingerprints.code(__name__, DETECTORS.module(detector.name))
    by = (detector.name, _weights(detector, path), code, [version(name) for name in _PACKAGES])
    # Not opened where all is in the cache.
    find = functools.cache(lambda: detector.open(path))
    found: dict[str, Floats] = {}
    starts = list(range(0, len(faces.keys), _CHUNK))
    first = int(begin * len(starts))
    for number, start in enumerate([*starts[first:], *starts[:first]]):
        before = number * _CHUNK
        keys = faces.keys[start : start + _CHUNK]
        digests = [faces.image_digests[key].hex() for key in keys]

        def make(folder: Path, keys: Sequence[str] = keys, before: int = before) -> None:
            points = _search(
                faces, keys, find(), lambda n: progress.at(before + n, len(faces.keys))
            )
            np.save(folder / "landmarks.npy", points)

        folder = cache.entry("landmarks", cache.digest(digests, by), make)
        points = np.load(folder / "landmarks.npy", allow_pickle=False)
        found |= {k: p for k, p in zip(keys, points, strict=True) if np.isfinite(p).all()}
        progress.at(min(before + _CHUNK, len(faces.keys)), len(faces.keys))
    return found


def _search(
    faces: FaceSet, keys: Sequence[str], find: Find, progress: Callable[[int], None]
) -> Floats:
    """Landmarks of K images `(K, 5, 2)`; not a number where no face is found."""
    points = np.full((len(keys), 5, 2), np.nan)
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        for row, found in enumerate(pool.map(lambda key: find(faces.picture(key)), keys)):
            if found is not None:
                points[row] = found
            progress(row + 1)
    finally:
        # After an error nobody waits for the rest.
        pool.shutdown(cancel_futures=True)
    return points


def _not_found(faces: FaceSet, lacking: Sequence[str], mend: str) -> BadInputError:
    return BadInputError(
        f"no face was found in {len(lacking)} of the {len(faces.keys)} images of {faces.name}, "
        f"the first of them {faces.files.describe(lacking[0])}: find them by other means "
        f"(--landmarks), or {mend}"
    )


def _nothing_left(faces: FaceSet, lacking: Sequence[str]) -> BadInputError:
    return _not_found(
        faces,
        lacking,
        "take the middle of them (--absent centre), since without them nothing can be scored",
    )


def _without(faces: Set, lacking: Sequence[str]) -> Prepared[Set]:
    """Leave out the images, and what cannot be done without them."""
    left, pairs = _remaining(faces, frozenset(lacking))
    if not left.keys or (isinstance(left, SearchSet) and not left.probes):
        raise _nothing_left(faces, lacking)
    images = len(faces.keys) - len(left.keys)
    return Prepared(left, tuple(lacking), pairs, images)


def _remaining(faces: Set, lacking: frozenset[str]) -> tuple[Set, int]:
    """Return the faces without some images, and how many pairs that costs."""
    if isinstance(faces, PairSet):
        stay = [not lacking & {pair.first, pair.second} for pair in faces.pairs]
        pairs, groups = tuple(compress(faces.pairs, stay)), tuple(compress(faces.groups, stay))
        return replace(faces, pairs=pairs, groups=groups), len(faces.pairs) - len(pairs)
    if isinstance(faces, SearchSet):
        probes = _in_company([k for k in faces.probes if k not in lacking], faces.identities)
        distractors = tuple(k for k in faces.distractors if k not in lacking)
        return replace(faces, probes=probes, distractors=distractors), 0
    if isinstance(faces, TrialSet):
        return faces.without(lacking), 0
    raise TypeError(f"neither pairs nor a search: {type(faces).__name__}")


def _in_company(probes: Sequence[str], identities: Mapping[str, str]) -> tuple[str, ...]:
    """Return the probes whose identity has another one: what a search looks for."""
    images = Counter(identities[key] for key in probes)
    return tuple(key for key in probes if images[identities[key]] > 1)
