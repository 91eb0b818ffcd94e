"""Scores by the 10-fold protocol of Labeled Faces in the Wild."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.pair_scores import PairScores
from facebench.harness.stats.arrays import Reals
from facebench.harness.storage import cache
from facebench.harness.verification import people
from facebench.harness.verification.embedding import Embeddings
from facebench.harness.verification.faces import Pair, PairSet
from facebench.harness.verification.folds import cross_validate

# Pairs that are scored at a time: sets such as BFW have a million.
_PAIRS = 2**14


def score(
    faces: PairSet,
    keys: Sequence[str],
    embeddings: Embeddings,
    rejected: frozenset[str] = frozenset(),
) -> PairScores:
    """Return one score a pair: the cosine of its two embeddings.

    Args:
        faces: the pairs.
        keys: images, K of them: all that pairs are made of but the rejected ones.
        embeddings: of these images, `(K, E)`, none of them zero.
        rejected: images without a face; what they are compared with is never
            called the same, so the pair scores -1.
    """
    usable = [not {pair.first, pair.second} & rejected for pair in faces.pairs]
    scores = np.full(len(faces.pairs), -1.0, np.float32)
    kept = [pair for pair, use in zip(faces.pairs, usable, strict=True) if use]
    scores[usable] = cosine_scores(embeddings, keys, kept)
    identities, recovered = people.numbers(faces)
    return PairScores.pack(
        scores,
        [pair.same for pair in faces.pairs],
        [pair.fold for pair in faces.pairs],
        identities,
        cache.digest(faces.protocol, [faces.image_digests[key].hex() for key in faces.keys]),
        recovered,
        faces.groups,
    )


def verify(
    scores: PairScores,
    label: str,
    flip: str,
    images_per_second: float,
    not_found: Sequence[str] = (),
    excluded_pairs: int = 0,
) -> Accuracy:
    """Run the 10-fold protocol on scores; the other arguments are facts that go with them.

    Raises:
        BadInputError: see `cross_validate`.
    """
    accuracies, thresholds = cross_validate(
        scores.scores.astype(np.float64), scores.same, scores.folds
    )
    return Accuracy(
        fold_accuracies=accuracies,
        fold_thresholds=thresholds,
        pairs=len(scores),
        label=label,
        flip=flip,
        images_per_second=images_per_second,
        scores=scores,
        not_found=tuple(not_found),
        excluded_pairs=excluded_pairs,
    )


def cosine_scores(embeddings: Embeddings, keys: Sequence[str], pairs: Sequence[Pair]) -> Reals:
    """Return the cosine of the angle between the embeddings of each pair, `(P,)`, -1 to 1.

    Args:
        embeddings: `(K, E)`, none of them zero.
        keys: their K images.
        pairs: P pairs of these images.
    """
    row = {key: index for index, key in enumerate(keys)}
    # In float64 the order of scores does not hang on the rounding of the products.
    unit = np.asarray(embeddings, np.float64)
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    scores = np.empty(len(pairs))
    for start in range(0, len(pairs), _PAIRS):
        part = pairs[start : start + _PAIRS]
        first = unit[[row[pair.first] for pair in part]]
        second = unit[[row[pair.second] for pair in part]]
        scores[start : start + len(part)] = np.einsum("pe,pe->p", first, second)
    return np.asarray(np.clip(scores, -1.0, 1.0))
