"""Opens training sets: finds what is in them, what is left out, and where each face is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facebench.architectures.errors import BadInputError
from facebench.harness.stats.arrays import Floats, IntArray
from facebench.harness.storage.progress import SILENT, Progress
from facebench.harness.training.data import cleaning
from facebench.harness.training.data.formats.registry import open_source
from facebench.harness.training.data.source import SIZE, Source
from facebench.harness.training.data.survey import Survey, require_images, survey
from facebench.harness.training.data.training_faces import TrainingFaces
from facebench.harness.training.data.views import undetected
from facebench.harness.verification import preparation

# Where the faces are, as in `preparation.locate`: landmarks that lie beside the images,
# else images of 112x112; or images that are aligned crops whatever their size.
FILE, ALIGNED = "file", "aligned"


def load(
    path: Path,
    without: Path | None = None,
    landmarks: str = FILE,
    progress: Progress = SILENT,
    least_people: int = 2,
) -> TrainingFaces:
    """Open a training set in any of the formats of `FORMATS`.

    The first time every image is read once, for its digest and its size; later the
    sizes and times of the files say that they are the same.

    Args:
        path: a folder of people's folders, a tar of them, a `.rec` or a `.tsv`.
        without: a list that `facebench data clean` wrote, of whom to leave out or merge.
        landmarks: `file`, those beside the images (`landmarks.csv`), or none where the
            images are 112x112; `aligned`, square crops of any size, which are resized;
            or a detector, see `preparation.locate`.
        progress: told how many images are looked at.
        least_people: that must remain; 1 where nothing is learned of who they are.

    Raises:
        BadInputError: it is in none of the formats, damaged, or not aligned; or the list
            names what it does not hold; or fewer people remain than there must.
    """
    source = open_source(path)
    rows, people = np.arange(len(source.names)), source.people
    notes: tuple[str, ...] = ()
    if without is not None:
        rows, people, notes = cleaning.apply(cleaning.read(without), source, str(without))
    seen = survey(source, progress)
    require_images(source, seen, rows)
    points = _points(source, seen, rows, landmarks, progress)
    if points is None:
        _require_aligned(source, seen, rows, landmarks == ALIGNED)
    else:
        found = ~np.isnan(points[:, 0, 0])
        rows, people, points = rows[found], people[found], points[found]
        if not found.all():
            count = int((~found).sum())
            notes += (f"{count:,} of {len(found):,} images left out: no face was found in them",)
    labels, identities = _renumbered(people, source, least_people)
    digests = seen.digests[rows] if points is None else _with_points(seen.digests[rows], points)
    names = [source.names[row] for row in rows.tolist()]
    digest = _digest(names, identities, labels, digests)
    return TrainingFaces(labels, identities, digest, source, rows, digests, points, notes)


def _points(
    source: Source, seen: Survey, rows: IntArray, landmarks: str, progress: Progress
) -> Floats | None:
    """Landmarks `(N, 5, 2)`, not numbers where there are none; None for aligned images."""
    if landmarks == ALIGNED or (landmarks == FILE and not source.landmarks):
        return None
    known: Mapping[str, Floats] = source.landmarks
    if landmarks != FILE:
        known = preparation.locate(undetected(source, seen, rows), landmarks, progress).landmarks
    nowhere = np.full((5, 2), np.nan)
    return np.array([known.get(source.names[row], nowhere) for row in rows.tolist()]).reshape(
        -1, 5, 2
    )


def _require_aligned(source: Source, seen: Survey, rows: IntArray, resize: bool) -> None:
    sizes = seen.sizes[rows]
    good = sizes[:, 0] == sizes[:, 1] if resize else (sizes == SIZE).all(axis=1)
    if good.all():
        return
    first = int(rows[np.argmin(good)])
    height, width = seen.sizes[first]
    # compress, which trains too, has no such option.
    mend = "put landmarks.csv beside them, or find the faces with 'train --landmarks scrfd'"
    if not resize:
        mend += "; if they are aligned crops of another size, say 'train --landmarks aligned'"
    raise BadInputError(
        f"{source.images.describe(first)} is {height}x{width}, not "
        f"{'square' if resize else '112x112'}, as are {int((~good).sum()):,} of {len(rows):,} "
        f"images: {mend}"
    )


def _renumbered(people: IntArray, source: Source, least: int) -> tuple[IntArray, tuple[str, ...]]:
    """Return labels without gaps."""
    kept, labels = np.unique(people, return_inverse=True)
    if len(kept) < least:
        raise BadInputError(
            f"{source.path} has images of {len(kept)} people, and to tell people apart takes two: "
            "name another training set, or a shorter list of what is left out"
        )
    return labels.astype(np.int64), tuple(source.identities[number] for number in kept.tolist())


def _with_points(digests: npt.NDArray[np.uint8], points: Floats) -> npt.NDArray[np.uint8]:
    """Return digests of images with their landmarks."""
    parts = [
        hashlib.sha256(image.tobytes() + point.astype(np.float64).tobytes()).digest()
        for image, point in zip(digests, points, strict=True)
    ]
    return np.frombuffer(b"".join(parts), np.uint8).reshape(-1, 32)


def _digest(
    names: list[str],
    identities: tuple[str, ...],
    labels: IntArray,
    digests: npt.NDArray[np.uint8],
) -> str:
    total = hashlib.sha256(json.dumps([names, identities]).encode())
    total.update(labels.tobytes())
    total.update(digests.tobytes())
    return total.hexdigest()
