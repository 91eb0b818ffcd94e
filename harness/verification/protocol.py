"""The 10-fold protocol of Labeled Faces in the Wild."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from facebench.architectures.errors import BadInputError
from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.pair_scores import PairScores
from facebench.harness.storage import cache
from facebench.harness.verification.embedding import Embeddings
from facebench.harness.verification.faces import Pair, PairSet
from facebench.harness.verification.metrics import between

Scores = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]


def score(
    faces: PairSet,
    keys: Sequence[str],
    embeddings: Embeddings,
    rejected: frozenset[str] = frozenset(),
) -> PairScores:
    """One score a pair: the cosine of its two embeddings.

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
    return PairScores.pack(
        scores,
        [pair.same for pair in faces.pairs],
        [pair.fold for pair in faces.pairs],
        _identity_numbers(faces),
        cache.digest(faces.protocol, [faces.image_digests[key].hex() for key in faces.keys]),
    )


def verify(
    scores: PairScores,
    label: str,
    flip: str,
    images_per_second: float,
    not_found: Sequence[str] = (),
    excluded_pairs: int = 0,
) -> Accuracy:
    """The 10-fold protocol on scores; the other arguments are facts that go with them.

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


def _identity_numbers(faces: PairSet) -> list[tuple[int, int]]:
    """A number for each person of a pair; none at all where the dataset does not name them."""
    if not faces.identities:
        return []
    numbers: dict[str, int] = {}
    return [
        (
            numbers.setdefault(faces.identities[pair.first], len(numbers)),
            numbers.setdefault(faces.identities[pair.second], len(numbers)),
        )
        for pair in faces.pairs
    ]


def cosine_scores(embeddings: Embeddings, keys: Sequence[str], pairs: Sequence[Pair]) -> Scores:
    """Cosine of the angle between the two embeddings of each pair, `(P,)`, -1 to 1.

    Args:
        embeddings: `(K, E)`, none of them zero.
        keys: their K images.
        pairs: P pairs of these images.
    """
    row = {key: index for index, key in enumerate(keys)}
    # In float64 the order of scores does not hang on the rounding of the products.
    unit = np.asarray(embeddings, np.float64)
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    first = unit[[row[pair.first] for pair in pairs]]
    second = unit[[row[pair.second] for pair in pairs]]
    return np.asarray(np.clip(np.einsum("pe,pe->p", first, second), -1.0, 1.0))


def cross_validate(
    scores: Scores, same: Booleans, folds: npt.NDArray[np.int_]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Accuracy on each fold at the threshold that is best on all others.

    Source: G. B. Huang et al., Technical Report 07-49, University of
    Massachusetts, 2007, section on View 2: performance is the mean over ten folds,
    each scored with parameters set on the other nine alone.

    Args:
        scores: `(P,)`; higher means more alike.
        same: `(P,)`; whether the pair is genuine.
        folds: `(P,)`; the fold of each pair.

    Returns:
        Accuracies, 0 to 1, and thresholds, fold by fold in ascending order.

    Raises:
        BadInputError: there are fewer than two folds.

    Example:
        >>> scores, same = np.array([0.8, 0.2, 0.75, 0.25]), np.array([True, False, True, False])
        >>> cross_validate(scores, same, np.array([0, 0, 1, 1]))
        ((1.0, 1.0), (0.5, 0.5))
    """
    names = np.unique(folds)
    if len(names) < 2:
        raise BadInputError(
            f"pairs in {len(names)} fold can't be cross-validated: at least two folds are needed"
        )
    accuracies, thresholds = [], []
    for name in names:
        held_out = folds == name
        threshold = best_threshold(scores[~held_out], same[~held_out])
        decisions = scores[held_out] >= threshold
        accuracies.append(float(np.mean(decisions == same[held_out])))
        thresholds.append(threshold)
    return tuple(accuracies), tuple(thresholds)


def best_threshold(scores: Scores, same: Booleans) -> float:
    """The threshold with the most right decisions, where `score >= threshold` means same.

    Exact: each distinct set of decisions is looked at, not a grid. A threshold
    lies midway between two neighbouring scores, so that it favours neither. Of
    thresholds that are equally good the middle one is taken (the lower of two).

    Args:
        scores: `(P,)`, finite.
        same: `(P,)`; whether the pair is genuine.

    Example:
        >>> best_threshold(np.array([0.1, 0.4, 0.6, 0.9]), np.array([False, False, True, True]))
        0.5
    """
    values, group = np.unique(scores, return_inverse=True)
    genuine = np.bincount(group, weights=same, minlength=len(values))
    impostor = np.bincount(group, weights=~same, minlength=len(values))
    # Element i: right decisions when the i lowest distinct scores mean different.
    rejected = np.concatenate([[0.0], np.cumsum(impostor)])
    accepted = np.concatenate([[0.0], np.cumsum(genuine[::-1])])[::-1]
    right = rejected + accepted
    best = np.flatnonzero(right == right.max())
    chosen = int(best[(len(best) - 1) // 2])
    return between(values, chosen)
