"""Looks again at pairs whose embeddings the cache still holds: normalized, or without poor ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from facebench.architectures.errors import BadInputError, RefusedError, UnavailableError
from facebench.harness.measures import scoring
from facebench.harness.measures.job import Job
from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.pair_scores import PairScores
from facebench.harness.records.record import Record
from facebench.harness.stats.arrays import IntArray, Reals
from facebench.harness.storage.serialization import Packed
from facebench.harness.verification import embedding
from facebench.harness.verification.faces import FaceSet, PairSet
from facebench.harness.verification.folds import cross_validate, decided
from facebench.harness.verification.intervals import blocks
from facebench.harness.verification.metrics import smallest_far
from facebench.harness.verification.normalization import METHODS, cohort_statistics, normalized
from facebench.harness.verification.paired import PairedComparison, compare
from facebench.harness.verification.rejection import RejectCurve, read_quality, reject_curve
from facebench.harness.verification.summary import Summary, summarise

# The quality that every network has: the length of its embedding (Q. Meng et al., "MagFace",
# CVPR 2021; A. Ranjan et al. saw it before in networks trained by softmax, arXiv 1703.09507).
NORM = "norm"


@dataclass(frozen=True)
class NormalizedScores:
    """They are a record's scores, normalized by a cohort.

    Attributes:
        record: whose scores they are.
        method: of `normalization.METHODS`.
        score: accuracy by the same protocol.
        summary: TAR at FARs, EER and so on.
        gain: of accuracy over the scores as they were, on the same pairs.
    """

    record: Record
    method: str
    score: Accuracy
    summary: Summary
    gain: PairedComparison


@dataclass(frozen=True)
class QualityCurve:
    """It is a record's error against reject.

    Attributes:
        record: whose pairs they are.
        curve: at one FAR.
    """

    record: Record
    curve: RejectCurve


@dataclass(frozen=True)
class _EmbeddedPairs:
    """It holds a record's scores, and the embeddings of the images that have a face.

    Attributes:
        score: by the protocol.
        pairs: its scores, P of them.
        rows: `(U, 2)`; the images of the pairs of which both have a face.
        usable: `(U,)`; which pairs these are.
        embeddings: `(K, E)`.
        keys: the K images.
        faces: the dataset.
    """

    score: Accuracy
    pairs: PairScores
    rows: IntArray
    usable: IntArray
    embeddings: embedding.Embeddings
    keys: list[str]
    faces: PairSet


def normalizations(
    record: Record, job: Job, cohort: Record, strangers: FaceSet, fars: Sequence[float]
) -> list[NormalizedScores]:
    """Return a record's scores by each method of normalization.

    Args:
        record: of pairs.
        job: that it came of.
        cohort: the record of the same network on other people.
        strangers: the images of these.
        fars: at which TAR is given.

    Raises:
        UnavailableError: the cache lacks embeddings.
        RefusedError: the cohort shares people or images with the pairs.
        BadInputError: the cohort is too small.
    """
    ours = _embedded(record, job)
    _require_strangers(ours, strangers)
    statistics = cohort_statistics(ours.embeddings, _load(cohort))
    found = []
    for method in METHODS:
        made = normalized(ours.pairs.scores[ours.usable], ours.rows, statistics, method)
        # Pairs without a face stay below all others.
        scores = np.full(len(ours.pairs), made.min() - 1)
        scores[ours.usable] = made
        found.append(_scored(record, ours, scores, method, fars))
    return found


def quality_curve(record: Record, job: Job, quality: str, fars: Sequence[float]) -> QualityCurve:
    """Return a record's error against reject.

    Args:
        record: of pairs.
        job: that it came of.
        quality: `norm`, of the embeddings; or a CSV file `image,quality`.
        fars: of which the threshold is set at the smallest that the pairs support.

    Raises:
        UnavailableError: the cache lacks embeddings.
        BadInputError: the file is malformed, or does not have an image of the pairs.
        RefusedError: there are too few impostor pairs for any of `fars`.
    """
    ours = _embedded(record, job)
    # A pair without a face is the first to be left out.
    of_pairs = np.full(len(ours.pairs), -1e300)
    of_pairs[ours.usable] = _quality(ours, quality)[ours.rows].min(axis=1)
    impostors = int(np.count_nonzero(~ours.pairs.same))
    supported = [far for far in fars if far >= smallest_far(impostors)]
    return QualityCurve(
        record, reject_curve(ours.pairs, of_pairs, min(supported, default=max(fars)))
    )


def _quality(ours: _EmbeddedPairs, quality: str) -> Reals:
    """Return the quality of each image that is embedded, `(K,)`; not a number where unknown."""
    if quality == NORM:
        return np.asarray(np.linalg.norm(ours.embeddings.astype(np.float64), axis=1))
    given = read_quality(Path(quality))
    lacking = next((key for key in ours.keys if key not in given), None)
    if lacking is not None:
        raise BadInputError(f"{quality} has no quality of {lacking}: add a line for it")
    return np.array([given[key] for key in ours.keys])


def _embedded(record: Record, job: Job) -> _EmbeddedPairs:
    """Return a record's pairs with the embeddings of their images.

    Raises:
        UnavailableError: the cache lacks them.
    """
    prepared = scoring.prepare(job)
    faces, score = prepared.faces, record.result
    assert isinstance(faces, PairSet)
    assert isinstance(score, Accuracy)
    assert score.scores is not None
    keys = [key for key in faces.keys if key not in prepared.rejected]
    row = {key: number for number, key in enumerate(keys)}
    both = [(row.get(pair.first, -1), row.get(pair.second, -1)) for pair in faces.pairs]
    rows = np.array(both, np.int64)
    usable = np.flatnonzero((rows >= 0).all(axis=1))
    return _EmbeddedPairs(score, score.scores, rows[usable], usable, _load(record), keys, faces)


def _load(record: Record) -> embedding.Embeddings:
    found = embedding.load(record.provenance.get("embeddings", ()), record.case.flip)
    if found is None:
        raise UnavailableError(
            f"the cache no longer holds the embeddings of {record.case}: remove its record from "
            "the results, or name no results file, and run the same command again"
        )
    return found


def _require_strangers(ours: _EmbeddedPairs, cohort: FaceSet) -> None:
    """Refuse a cohort that shares people or images with the pairs."""
    people = set(ours.faces.identities.values()) & set(cohort.identities.values())
    images = set(ours.faces.image_digests.values()) & set(cohort.image_digests.values())
    if people or images:
        what = f"{len(people)} people" if people else f"{len(images)} images"
        raise RefusedError(
            f"{cohort.name} and {ours.faces.name} share {what}: a cohort is of strangers; name "
            "another one"
        )


def _scored(
    record: Record, ours: _EmbeddedPairs, scores: Reals, method: str, fars: Sequence[float]
) -> NormalizedScores:
    pairs = replace(ours.pairs, packed_scores=Packed(scores.astype("<f4").tobytes()))
    accuracies, thresholds = cross_validate(
        pairs.scores.astype(np.float64), pairs.same, pairs.folds
    )
    score = replace(
        ours.score, fold_accuracies=accuracies, fold_thresholds=thresholds, scores=pairs
    )
    before, after = decided(ours.score), decided(score)
    assert before is not None
    assert after is not None
    gain = compare(before, after, pairs.identities, blocks(pairs))
    return NormalizedScores(record, method, score, summarise(pairs, fars), gain)
