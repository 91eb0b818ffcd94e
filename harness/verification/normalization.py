"""Normalizes scores by those that images have with a cohort of strangers.

An image that is like everybody scores high with everybody. The mean and the deviation of its
scores with a cohort tell how high, and are taken out: of the first image of a pair (z), of the
second (t), or of both, of which the mean is taken (s). Sources: R. Auckenthaler, M. Carey, H.
Lloyd-Thomas, "Score normalization for text-independent speaker verification systems", Digital
Signal Processing 10, 2000; P. Kenny, "Bayesian speaker verification with heavy-tailed priors",
Odyssey 2010, for s. This module needs neither torch nor TVM.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from facebench.architectures.errors import BadInputError
from facebench.harness.stats.arrays import Floats, IntArray, Reals
from facebench.harness.verification.tiles import normalize

# Images that are compared with the cohort at a time.
_ROWS = 2048

# Fewer strangers know no deviation.
FEWEST = 20

# From the scores normalized by the first and by the second image of each pair.
METHODS: Mapping[str, Callable[[Reals, Reals], Reals]] = {
    "z": lambda first, second: first,
    "t": lambda first, second: second,
    "s": lambda first, second: (first + second) / 2,
}


def cohort_statistics(embeddings: Floats, cohort: Floats) -> Reals:
    """Return the mean and the deviation of each image's scores with a cohort, `(K, 2)`.

    Args:
        embeddings: `(K, E)`, none of them zero.
        cohort: `(C, E)`, of other people.

    Raises:
        BadInputError: the cohort is too small, or an image scores the same with all of it.
    """
    if len(cohort) < FEWEST:
        raise BadInputError(
            f"a cohort of {len(cohort)} images knows no deviation: give {FEWEST} or more"
        )
    others = normalize(cohort, "the cohort", 0)
    found = np.empty((len(embeddings), 2))
    for start in range(0, len(embeddings), _ROWS):
        unit = normalize(embeddings[start : start + _ROWS], "the images", start)
        scores = np.asarray(unit @ others.T, np.float64)
        found[start : start + len(unit)] = np.stack(
            [scores.mean(axis=1), scores.std(axis=1, ddof=1)], axis=1
        )
    if not np.all(found[:, 1] > 0):
        raise BadInputError(
            f"image {int(np.argmin(found[:, 1]))} scores the same with all of the cohort: name "
            "another one"
        )
    return found


def normalized(scores: Floats, pairs: IntArray, statistics: Reals, method: str) -> Reals:
    """Return scores `(P,)` in deviations above what the images score with strangers.

    Args:
        scores: `(P,)`.
        pairs: `(P, 2)`; the rows of both images.
        statistics: `(K, 2)`, of `cohort_statistics`.
        method: one of `METHODS`.

    Example:
        >>> statistics = np.array([[0.1, 0.2], [0.3, 0.1]])
        >>> normalized(np.array([0.5]), np.array([[0, 1]]), statistics, "s").round(6)
        array([2.])
    """
    of_both = [(scores - statistics[rows, 0]) / statistics[rows, 1] for rows in pairs.T]
    return np.asarray(METHODS[method](*of_both))
