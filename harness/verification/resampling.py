"""Intervals of verification figures, by drawing the people anew.

Two pairs that share a person are not independent, so not pairs but people are
drawn with replacement: a genuine pair weighs as often as its person was drawn,
an impostor pair as often as the one times as often as the other.

Sources: R. Bolle, N. Ratha, S. Pankanti, "Error analysis of pattern recognition
systems - the subsets bootstrap", Computer Vision and Image Understanding 93(1),
2004; T. Snijders, S. Borgatti, "Non-parametric standard errors and tests for
network statistics", Connections 22(2), 1999, for the product.

The product errs on the safe side. Where people appear in few pairs each, the
variance of a rate over impostor pairs comes out up to three times too large,
and its interval up to 1.7 times too wide (A. Owen, "The pigeonhole bootstrap",
Annals of Applied Statistics 1(2), 2007). Where the dataset doesn't say who is in
an image, pairs are drawn, and intervals are too narrow if pairs share people.

This module needs neither torch nor TVM.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facebench.architectures.errors import BadInputError
from facebench.harness.verification.counts import (
    Counts,
    Reals,
    equal_error,
    last_within,
    mann_whitney,
)
from facebench.harness.verification.metrics import Booleans, Scores, check_far, checked

Interval = tuple[float, float]

# Weights held at once; a few arrays of as many 8-byte numbers are made of them.
_BLOCK = 2**18


@dataclass(frozen=True)
class Intervals:
    """Percentile intervals of the figures in `facebench.harness.verification.metrics`.

    Attributes:
        tar: by FAR; see `tar_at_far`.
        auc: see `auc`.
        eer: see `eer`.
        over: what was drawn with replacement, `identities` or `pairs`.
        replicates: draws that had pairs of both kinds; the figures come of these alone.
    """

    tar: dict[float, Interval]
    auc: Interval
    eer: Interval
    over: str
    replicates: int


def bootstrap_intervals(
    scores: Scores,
    same: Booleans,
    identities: npt.ArrayLike,
    fars: Sequence[float] = (),
    replicates: int = 1000,
    seed: int = 0,
) -> Intervals:
    """95 % intervals of TAR at each of `fars`, of AUC and of EER.

    The threshold of a FAR is found anew in each draw, so that the interval of TAR
    includes what is not known of the threshold.

    Args:
        scores: `(P,)`, finite; higher means more alike.
        same: `(P,)`; whether the pair is genuine.
        identities: `(P, 2)`, a number for each person; empty where they are unknown.
        fars: between 0 and 1.
        replicates: how often people, or pairs, are drawn.
        seed: the same one gives the same intervals.

    Raises:
        BadInputError: the arrays don't belong together, or there are no pairs of one kind.
        RefusedError: there are too few impostor pairs for one of `fars`.
    """
    scores, same = checked(scores, same)
    for far in fars:
        check_far(far, int(np.sum(~same)))
    over, blocks = draw(identities, len(same), replicates, seed)
    if over == "identities":
        _check_labels(np.asarray(identities), same)
    figures = np.concatenate(list(_figures(scores, same, fars, blocks)), axis=-1)
    *tar, auc, eer = [percentile_interval(figure) for figure in figures]
    return Intervals(dict(zip(fars, tar, strict=True)), auc, eer, over, figures.shape[-1])


def draw(
    identities: npt.ArrayLike, pairs: int, replicates: int, seed: int
) -> tuple[str, Iterator[Counts]]:
    """What is drawn, `identities` where they are known or else `pairs`, and `pairs` weights a draw.

    The identities are `(pairs, 2)`, or empty where they are unknown; the other arguments are
    those of `bootstrap_intervals` and `identity_weights`.

    Raises:
        BadInputError: `identities` are not those of the pairs.
    """
    people = np.asarray(identities)
    if not people.size:
        return "pairs", pair_weights(pairs, replicates, seed)
    if people.shape != (pairs, 2):
        raise BadInputError(
            f"identities of shape {people.shape} are not those of {pairs} pairs: give two a pair, "
            "or none at all"
        )
    return "identities", identity_weights(people, replicates, seed)


def identity_weights(
    identities: npt.NDArray[np.integer], replicates: int, seed: int
) -> Iterator[Counts]:
    """Weight of each pair in each draw of as many people as the pairs show.

    Args:
        identities: `(P, 2)`, a number for each person; the same twice in a genuine pair.
        replicates: R, the number of draws.
        seed: the same one gives the same weights.

    Returns:
        Blocks of draws, `(B, P)`, R rows in all.

    Raises:
        BadInputError: there is nothing to draw.
    """
    people, index = np.unique(identities, return_inverse=True)
    first, second = index.reshape(-1, 2).T
    genuine = first == second
    for times in _multiplicities(len(people), replicates, seed, len(first)):
        yield times[:, first] * np.where(genuine, 1, times[:, second])


def pair_weights(pairs: int, replicates: int, seed: int) -> Iterator[Counts]:
    """Yield weights `(B, pairs)` of pairs drawn with replacement; see `identity_weights`."""
    return _multiplicities(pairs, replicates, seed, pairs)


def percentile_interval(figures: Reals, confidence: float = 0.95) -> Interval:
    """Interval that leaves out as many draws below as above.

    Args:
        figures: `(R,)`, one a draw.
        confidence: share of the draws inside, 0 to 1.

    Source: B. Efron, R. Tibshirani, "An introduction to the bootstrap", 1993, chapter 13.

    Raises:
        BadInputError: there are no draws.

    Example:
        >>> percentile_interval(np.arange(5.0), 0.5)
        (1.0, 3.0)
    """
    if not len(figures):
        raise BadInputError(
            "no draw has pairs of each kind needed: draw more often, or give pairs of more people"
        )
    outside = (1 - confidence) / 2
    low, high = np.quantile(figures, [outside, 1 - outside])
    return float(low), float(high)


def _check_labels(identities: npt.NDArray[np.integer], same: Booleans) -> None:
    astray = int(np.sum((identities[:, 0] == identities[:, 1]) != same))
    if astray:
        raise BadInputError(
            f"{astray} of {len(same)} pairs are genuine between two people or impostor of one: "
            "give identities and labels in the same order"
        )


def _multiplicities(things: int, replicates: int, seed: int, pairs: int) -> Iterator[Counts]:
    """How often each thing is drawn when as many are drawn as there are, `(B, things)`."""
    if things < 1 or replicates < 1:
        raise BadInputError(
            f"{things} people or pairs can't be drawn from {replicates} times: give at least one "
            "and draw at least once"
        )
    rng = np.random.default_rng(seed)
    rows = max(1, _BLOCK // max(things, pairs))
    for start in range(0, replicates, rows):
        block = min(rows, replicates - start)
        drawn = rng.integers(things, size=(block, things))
        # Each row counts in a range of its own.
        drawn += things * np.arange(block)[:, None]
        yield np.bincount(drawn.ravel(), minlength=block * things).reshape(block, things)


def _figures(
    scores: Scores, same: Booleans, fars: Sequence[float], blocks: Iterator[Counts]
) -> Iterator[Reals]:
    """TAR at each of F rates, AUC and EER, draw by draw, `(F + 2, B)`."""
    order = np.argsort(-scores, kind="stable")
    # A threshold accepts all of the pairs that tie.
    last_of_tie = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    for weights in blocks:
        both = _accepted(weights[:, order], last_of_tie)
        genuine = _accepted(np.where(same, weights, 0)[:, order], last_of_tie)
        impostors = both - genuine
        # Few people may leave a draw without pairs of one kind, of which nothing can be said.
        usable = (genuine[:, -1] > 0) & (impostors[:, -1] > 0)
        genuine, impostors = genuine[usable], impostors[usable]
        tar = [_tar(impostors, genuine, far) for far in fars]
        yield np.stack([*tar, mann_whitney(impostors, genuine), equal_error(impostors, genuine)])


def _accepted(weights: Counts, last_of_tie: npt.NDArray[np.intp]) -> Counts:
    """Weight that each threshold accepts, from none to all, `(B, T)`; the highest score first."""
    return np.pad(np.cumsum(weights, axis=1)[:, last_of_tie], ((0, 0), (1, 0)))


def _tar(impostors: Counts, genuine: Counts, far: float) -> Reals:
    last = last_within(impostors, far)[:, None]
    return np.asarray(np.take_along_axis(genuine, last, axis=1)[:, 0] / genuine[:, -1])
