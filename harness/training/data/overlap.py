"""Finds who in a training set is in a test set or has two folders, and mislabelled images.

All from a trained network's embeddings: two images of one person are nearer to each
other, by their cosine, than those of two. Someone who is in both sets would make a test
of strangers one of acquaintances.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from facebench.architectures.errors import BadInputError
from facebench.harness.stats.arrays import Booleans, FloatArray, IntArray
from facebench.harness.training.data.cleaning import LEAVE_OUT, MERGE, Finding
from facebench.harness.verification.tiles import normalize

_ROWS = 2048
# In a folder of two that differ, nobody knows which is the wrong one.
_FEWEST_TO_JUDGE = 3
# So many images that are near a test set's make a person who is in it; a single one may
# be that person's under a wrong name.
_SEVERAL = 2


@dataclass(frozen=True)
class Limits:
    """These cosines decide what is found. They suit networks whose impostors stay below about 0.4.

    Attributes:
        person: of a person's mean with a face of the test set: the person is left out.
        image: of one image with a face of the test set: the image is left out, and the
            person where there are several such images.
        same: of two people's means: they are one.
        label: of an image with the mean of the person's others: below it, it is
            probably somebody else's.

    Raises:
        BadInputError: one is no cosine.
    """

    person: float = 0.5
    image: float = 0.6
    same: float = 0.6
    label: float = 0.2

    def __post_init__(self) -> None:
        for each in fields(self):
            limit = getattr(self, each.name)
            if not -1 <= limit <= 1:
                raise BadInputError(f"a limit of {limit} ({each.name}) is no cosine: give -1 to 1")


@dataclass(frozen=True, eq=False)
class Embedded:
    """It holds faces by their embeddings.

    Attributes:
        embeddings: `(N, E)`, of any length.
        names: N.
    """

    embeddings: npt.NDArray[np.floating]
    names: Sequence[str]

    def unit(self) -> FloatArray:
        """Return the embeddings at unit length.

        Raises:
            BadInputError: one is zero or not finite.
        """
        return normalize(self.embeddings, "the embeddings", 0)


def find(
    training: Embedded,
    labels: IntArray,
    identities: Sequence[str],
    tests: Embedded | None,
    limits: Limits,
    merge: bool = True,
) -> list[Finding]:
    """Return what the training set is better without: mislabelled images first, as all else uses
    means.

    Args:
        training: its N faces.
        labels: `(N,)`, whose each is.
        identities: names, by number.
        tests: the faces that must not be trained on, T of them; None for no such set.
        limits: the cosines that decide.
        merge: whether people with several folders are merged; otherwise the smaller
            folders are left out.
    """
    unit = training.unit()
    findings, kept = _mislabelled(unit, training.names, labels, identities, limits)
    present = np.ones(len(identities), bool)
    if tests is not None:
        near, images, present = _tested(
            unit, training.names, labels, identities, tests, limits, kept
        )
        findings += near
        kept = kept & images & present[labels]
    return findings + _same(unit, labels, identities, limits, kept, present, merge)


def _mislabelled(
    unit: FloatArray,
    names: Sequence[str],
    labels: IntArray,
    identities: Sequence[str],
    limits: Limits,
) -> tuple[list[Finding], Booleans]:
    """Images that are unlike the others of their person, and which images remain."""
    sums, counts = _sums(unit, labels, len(identities))
    others = sums[labels] - unit
    cosines = np.einsum("ne,ne->n", _normal(others), unit)
    bad = (cosines < limits.label) & (counts[labels] >= _FEWEST_TO_JUDGE)
    findings = [
        Finding(
            LEAVE_OUT, identities[labels[i]], names[i], "", float(cosines[i]),
            "unlike the person's other images",
        )
        for i in np.flatnonzero(bad).tolist()
    ]  # fmt: skip
    return findings, ~bad


def _tested(
    unit: FloatArray,
    names: Sequence[str],
    labels: IntArray,
    identities: Sequence[str],
    tests: Embedded,
    limits: Limits,
    kept: Booleans,
) -> tuple[list[Finding], Booleans, Booleans]:
    """Who is in the test set; and which images, and which identities, are not."""
    known = tests.unit()
    means, _ = _sums(unit[kept], labels[kept], len(identities))
    cosines, nearest = _nearest(_normal(means), known)
    single, which = _nearest(unit, known)
    near = kept & (single >= limits.image)
    several = np.bincount(labels[near], minlength=len(identities)) >= _SEVERAL
    best = np.full(len(identities), -1)
    order = np.flatnonzero(near)[np.argsort(single[near], kind="stable")]
    best[labels[order]] = order  # the last one written is the nearest
    findings = []
    out = several | (cosines >= limits.person)
    for person in np.flatnonzero(out).tolist():
        by_mean = cosines[person] >= limits.person
        image = int(best[person])
        other = tests.names[nearest[person] if by_mean else which[image]]
        cosine = float(cosines[person] if by_mean else single[image])
        reason = (
            "the mean is near a test image" if by_mean else "several images are near test images"
        )
        findings.append(Finding(LEAVE_OUT, identities[person], "", other, cosine, reason))
    alone = near & ~out[labels]
    for i in np.flatnonzero(alone).tolist():
        reason = "the image is near a test image"
        findings.append(
            Finding(
                LEAVE_OUT, identities[labels[i]], names[i], tests.names[which[i]],
                float(single[i]), reason,
            )
        )  # fmt: skip
    return findings, ~alone, ~out


def _same(
    unit: FloatArray,
    labels: IntArray,
    identities: Sequence[str],
    limits: Limits,
    kept: Booleans,
    present: Booleans,
    merge: bool,
) -> list[Finding]:
    """People who have another folder, with more images, that nobody else is merged away from.

    Each is near the very folder it is merged into, so that no chain of relatives becomes one.
    """
    sums, counts = _sums(unit[kept], labels[kept], len(identities))
    means = _normal(sums)
    order = np.lexsort((np.arange(len(counts)), -counts))
    order = order[(counts[order] > 0) & present[order]]
    gone = np.zeros(len(identities), bool)
    findings = []
    for person, cosines in _rows(means[order], means[order]):
        number = int(order[person])
        # Those with more images, in whose favour it is decided.
        near = np.flatnonzero(cosines[:person] >= limits.same)
        near = near[~gone[order[near]]]
        if not len(near):
            continue
        into = int(near[np.argmax(cosines[near])])
        gone[number] = True
        findings.append(
            Finding(
                MERGE if merge else LEAVE_OUT, identities[number], "", identities[order[into]],
                float(cosines[into]), "the same person by the means",
            )
        )  # fmt: skip
    return findings


def _sums(unit: FloatArray, labels: IntArray, people: int) -> tuple[FloatArray, IntArray]:
    """Sums of embeddings `(P, E)`, and how many, by person."""
    sums = np.zeros((people, unit.shape[1]), np.float32)
    np.add.at(sums, labels, unit)
    return sums, np.bincount(labels, minlength=people)


def _normal(vectors: FloatArray) -> FloatArray:
    """Return them at unit length; zero where they are zero, as is the mean of nothing."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms > 0, norms, 1), np.float32)


def _nearest(unit: FloatArray, others: FloatArray) -> tuple[FloatArray, IntArray]:
    """Return the highest cosine of each with any of the others, and with which."""
    cosines, which = np.empty(len(unit), np.float32), np.empty(len(unit), np.int64)
    for start in range(0, len(unit), _ROWS):
        scores = unit[start : start + _ROWS] @ others.T
        which[start : start + _ROWS] = scores.argmax(axis=1)
        cosines[start : start + _ROWS] = scores.max(axis=1)
    return cosines, which


def _rows(unit: FloatArray, others: FloatArray) -> Iterator[tuple[int, FloatArray]]:
    """Yield cosines of each with all others, one row at a time."""
    for start in range(0, len(unit), _ROWS):
        yield from enumerate(unit[start : start + _ROWS] @ others.T, start=start)
