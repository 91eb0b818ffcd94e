"""Joins the embeddings of a person's images into templates, and compares these.

An image counts by how sure a detector was of its face. Frames of one video are joined first, by
their mean, so that a long video counts no more than a photograph; then the sum over media is
brought to unit length. This is how the tables of IJB-B and IJB-C are made: C. Whitelam et al.,
"IARPA Janus Benchmark-B Face Dataset", CVPRW 2017; B. Maze et al., "IARPA Janus Benchmark - C",
ICB 2018; the media's mean and the detector's weights are those of insightface's
`recognition/_evaluation_/ijb`. This module needs neither torch nor TVM.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import compress
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from facebench.architectures.errors import BadInputError
from facebench.harness.stats.arrays import Booleans, FloatArray, Reals
from facebench.harness.storage.progress import SILENT, Progress
from facebench.harness.verification.faces import GallerySet, Rows, TemplateImages, TemplateSet

if TYPE_CHECKING:
    from facebench.harness.verification.embedding import Embeddings  # loads OpenCV

Templates = TypeVar("Templates", bound=TemplateImages)

# Pairs that are scored at a time: 16 MiB of each of two templates, for 128 elements.
_PAIRS = 2**15


def pool(blocks: Iterable[Embeddings], faces: TemplateImages) -> FloatArray:
    """Return the templates at unit length, `(T, E)`; zeros where no face was found.

    An image is done with once it was added, so that memory does not grow with their number.

    Args:
        blocks: embeddings `(n, E)` of the images, not normalized, in their order.
        faces: whose images they are, T templates.

    Raises:
        BadInputError: a template's images cancel each other or count nothing, or all templates
            are equal.
    """
    counts = np.bincount(faces.medium)
    weights = faces.weights / counts[faces.medium]
    templates, start = np.zeros((0, 0)), 0
    for block in blocks:
        if not templates.size:
            templates = np.zeros((len(faces.people), block.shape[1]))
        stop = start + len(block)
        _add(templates, block * weights[start:stop, None], faces.template[start:stop])
        start = stop
    return _unit(templates, faces)


def compare(templates: FloatArray, faces: TemplateSet, progress: Progress = SILENT) -> FloatArray:
    """Return the score of each pair, `(P,)`: the cosine of its templates, -1 without a face.

    Args:
        templates: at unit length, `(T, E)`.
        faces: P pairs of them.
        progress: told how many are done.
    """
    scores = np.empty(len(faces.same), np.float32)
    for start in range(0, len(scores), _PAIRS):
        part = slice(start, start + _PAIRS)
        first, second = faces.first[part], faces.second[part]
        np.einsum("pe,pe->p", templates[first], templates[second], out=scores[part])
        scores[part][faces.missed[first] | faces.missed[second]] = -1.0
        progress.at(min(start + _PAIRS, len(scores)), len(scores))
    return np.clip(scores, -1.0, 1.0, out=scores)


def without_images(faces: Templates, lacking: frozenset[str], keep: bool) -> tuple[Templates, int]:
    """Return the templates without some of their images, and how many pairs or probes that costs.

    Args:
        faces: the templates.
        lacking: images to leave out.
        keep: whether templates that have no image any more stay where they are compared: pairs
            of them score -1, and nobody is found by them.
    """
    left = np.array([key not in lacking for key in faces.images], np.bool_)
    made = with_images(faces, left)
    if keep:
        return made, 0
    if isinstance(made, TemplateSet):
        stay = ~(made.missed[made.first] | made.missed[made.second])
        pairs = {name: getattr(made, name)[stay] for name in ("first", "second", "same")}
        return replace(made, **pairs), int(np.count_nonzero(~stay))
    if isinstance(made, GallerySet):
        stay = ~made.missed[made.probes]
        galleries = tuple(rows[~made.missed[rows]] for rows in made.galleries)
        kept = replace(made, galleries=galleries, probes=made.probes[stay])
        return kept, int(np.count_nonzero(~stay))
    raise TypeError(f"neither pairs nor galleries: {type(faces).__name__}")


def with_images(faces: Templates, left: Booleans) -> Templates:
    """Return the same templates, of some of the images, `(N,)`; those of none are missed."""
    return replace(
        faces,
        images=tuple(compress(faces.images, left)),
        template=faces.template[left],
        medium=faces.medium[left],
        weights=faces.weights[left],
        missed=np.bincount(faces.template[left], minlength=len(faces.people)) == 0,
    )


def faceless(faces: TemplateImages, *compared: Rows) -> int:
    """Count the templates without a face among those that are compared, rows of any shape."""
    seen = np.zeros(len(faces.people), np.bool_)
    for rows in compared:
        seen[rows] = True
    return int(np.count_nonzero(seen & faces.missed))


def _add(templates: Reals, weighted: Reals, row: Rows) -> None:
    """Add images `(n, E)` to their templates; those of one come one after the other, mostly."""
    order = np.argsort(row, kind="stable")
    ordered = row[order]
    begins = np.flatnonzero(np.diff(ordered, prepend=-1))
    templates[ordered[begins]] += np.add.reduceat(weighted[order], begins, axis=0)


def _unit(templates: Reals, faces: TemplateImages) -> FloatArray:
    norms = np.linalg.norm(templates, axis=1)
    bad = np.flatnonzero((norms == 0) & ~faces.missed)
    if len(bad):
        key = faces.images[int(np.argmax(faces.template == bad[0]))]
        raise BadInputError(
            f"the template of {faces.files.describe(key)} is zero: its images cancel each other, "
            "or the list gives their detections no score; leave it out of the lists"
        )
    unit = np.asarray(templates / np.where(norms == 0, 1, norms)[:, None], np.float32)
    seen = unit[~faces.missed]
    if len(seen) > 1 and np.ptp(seen, axis=0).max() <= 1e-6:
        raise BadInputError(
            f"all {len(seen)} templates are equal: the network is constant; check its weights and "
            "preprocessing"
        )
    return unit
