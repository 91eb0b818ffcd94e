"""Makes a list of whom to leave out, of a training set, a teacher and test sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from facebench.harness.models.networks import Network
from facebench.harness.storage.progress import SILENT, Progress, ProgressStep
from facebench.harness.training.data import overlap, views
from facebench.harness.training.data.cleaning import Finding
from facebench.harness.training.data.faces import FILE, load
from facebench.harness.training.data.overlap import Embedded, Limits
from facebench.harness.training.data.teacher import open_teacher
from facebench.harness.verification import preparation
from facebench.harness.verification.datasets.registry import DATASETS, data_root
from facebench.harness.verification.embedding import Embedder, extract
from facebench.harness.verification.faces import FaceSet


@dataclass(frozen=True)
class CleaningRequest:
    """A training set in which people of test sets, and wrong labels, are to be found.

    Attributes:
        faces: the training set, in any of the formats of `FORMATS`.
        teacher: a trained network, whose embeddings decide.
        against: names of test sets.
        landmarks: where the training faces are, as in `faces.load`.
        merge: see `overlap.find`.
        limits: the cosines that decide.
        threads: images in work at a time; None for all cores.
        data: folder of data sets.
    """

    faces: Path
    teacher: Network
    against: Sequence[str] = ()
    landmarks: str = FILE
    merge: bool = True
    limits: Limits = field(default_factory=Limits)
    threads: int | None = None
    data: Path | None = None


def clean(request: CleaningRequest, progress: Progress = SILENT) -> list[Finding]:
    """Embed both sets, or find the embeddings in the cache, and compare them.

    Raises:
        RefusedError: the teacher's weights are random.
        BadInputError: a set is not there or its faces are not located; an image is damaged; or
            the teacher's embeddings are of no use.
    """
    training = load(request.faces, None, request.landmarks, ProgressStep(progress, "looked at"))
    teacher = open_teacher(request.teacher, request.threads)
    tests = None
    for name in request.against:
        opened = DATASETS[name].open(data_root(request.data))
        faces = preparation.settle(preparation.locate(opened, "file"), "refuse")
        tests = _joined(tests, _embedded(faces.faces, teacher, progress))
    seen = _embedded(views.aligned(training, range(len(training))), teacher, progress)
    labels, identities = training.labels, training.identities
    return overlap.find(seen, labels, identities, tests, request.limits, request.merge)


def _embedded(faces: FaceSet, teacher: Embedder, progress: Progress) -> Embedded:
    made = extract(faces, faces.keys, teacher, progress=ProgressStep(progress, faces.name))
    return Embedded(made.embeddings, faces.keys)


def _joined(first: Embedded | None, second: Embedded) -> Embedded:
    if first is None:
        return second
    both = np.concatenate([first.embeddings, second.embeddings])
    return Embedded(both, [*first.names, *second.names])
