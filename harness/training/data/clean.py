"""From a training set, a teacher and test sets to a list of whom to leave out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from facebench.harness.training.data import overlap, views
from facebench.harness.training.data.cleaning import Finding
from facebench.harness.training.data.faces import TrainingFaces
from facebench.harness.training.data.overlap import Embedded, Limits
from facebench.harness.verification import preparation
from facebench.harness.verification.datasets.registry import DATASETS
from facebench.harness.verification.embedding import Embedder, extract
from facebench.harness.verification.faces import FaceSet

# Told what is embedded, how many images are done, and of how many.
Progress = Callable[[str, int, int], None]


def clean(
    training: TrainingFaces,
    teacher: Embedder,
    against: Sequence[str],
    data: Path | None,
    limits: Limits,
    merge: bool = True,
    progress: Progress = lambda what, done, total: None,
) -> list[Finding]:
    """Embed both sets, or find the embeddings in the cache, and compare them.

    Args:
        training: the training set, as it is without a list.
        teacher: the network.
        against: names of test sets.
        data: the folder where data is kept.
        limits: the cosines that decide.
        merge: see `overlap.find`.
        progress: told how far it is.

    Raises:
        BadInputError: a test set is not there or its faces are not located; an image is
            damaged; or the teacher's embeddings are of no use.
    """
    tests = None
    for name in against:
        faces = preparation.settle(preparation.locate(DATASETS[name].open(data), "file"), "refuse")
        tests = _joined(tests, _embedded(faces.faces, teacher, progress))
    seen = _embedded(views.aligned(training, range(len(training))), teacher, progress)
    return overlap.find(seen, training.labels, training.identities, tests, limits, merge)


def _embedded(faces: FaceSet, teacher: Embedder, progress: Progress) -> Embedded:
    keys = faces.keys
    made = extract(
        faces, keys, teacher, progress=lambda done: progress(faces.name, done, len(keys))
    )
    return Embedded(made.embeddings, keys)


def _joined(first: Embedded | None, second: Embedded) -> Embedded:
    if first is None:
        return second
    both = np.concatenate([first.embeddings, second.embeddings])
    return Embedded(both, [*first.names, *second.names])
