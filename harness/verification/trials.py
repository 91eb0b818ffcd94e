"""Verifies and searches in trials, as BLUFR does on Labeled Faces in the Wild.

Source: S. Liao, Z. Lei, D. Yi, S. Z. Li, "A Benchmark Study of Large-scale Unconstrained Face
Recognition", IJCB 2014, sections 3 and 4, and its toolkit. In each trial all its images are
compared with each other, and its probes are searched for in its gallery. What is reported is the
mean over the trials less their standard deviation. This module needs neither torch nor TVM.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from facebench.architectures.errors import BadInputError
from facebench.harness.stats.arrays import FloatArray, IntArray
from facebench.harness.storage.progress import SILENT, Progress
from facebench.harness.verification.faces import Trial, TrialSet
from facebench.harness.verification.tiles import normalize

# What the benchmark reports: the TAR at this FAR, and at this rate of false alarms the share of
# probes that are found first.
FAR, ALARM_RATE = 1e-3, 1e-2
_ROWS = 512


@dataclass(frozen=True)
class TrialRates:
    """They are what one trial gave.

    Attributes:
        tar: share of genuine pairs accepted where `FAR` of the impostor pairs are.
        genuine: pairs of one person.
        impostor: pairs of two.
        found: share of mated probes that are found first, at the threshold that `ALARM_RATE` of
            the others reach.
        mated: probes whose person is in the gallery.
        unmated: the others.
    """

    tar: float
    genuine: int
    impostor: int
    found: float
    mated: int
    unmated: int


def trial_rates(
    embeddings: FloatArray, faces: TrialSet, progress: Progress = SILENT
) -> list[TrialRates]:
    """Return the rates of each trial.

    Args:
        embeddings: `(N, E)`, of the set's images, of any length.
        faces: N images and their trials.
        progress: told how many trials are done.

    Raises:
        BadInputError: an embedding is zero or not finite, or a trial has too few pairs or probes
            of a kind.
    """
    unit, people = normalize(embeddings, "the embeddings", 0), np.asarray(faces.people, np.int64)
    found = []
    for number, trial in enumerate(faces.trials, start=1):
        name = f"trial {number} of {faces.name}"
        found.append(
            TrialRates(
                *_verified(unit[trial.test], people[trial.test], name),
                *_searched(unit, people, trial, name),
            )
        )
        progress.at(number, len(faces.trials))
    return found


def _verified(unit: FloatArray, people: IntArray, name: str) -> tuple[float, int, int]:
    """Return the TAR, and how many genuine and impostor pairs there are."""
    _, images = np.unique(people, return_counts=True)
    genuine = int((images * (images - 1) // 2).sum())
    impostor = len(people) * (len(people) - 1) // 2 - genuine
    accepted = _allowed(FAR, impostor, f"{impostor:,} impostor pairs", name)
    if not genuine:
        raise BadInputError(f"{name} has no two images of one person: copy the lists anew")
    own, others = [], np.empty(0, np.float32)
    for same, other in _compared(unit, people):
        own.append(same)
        others = _highest(others, other, accepted)
    return float(np.mean(np.concatenate(own) >= others.min())), genuine, impostor


def _compared(unit: FloatArray, people: IntArray) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Yield scores of genuine and of impostor pairs, each pair once."""
    for start in range(0, len(unit), _ROWS):
        rows = np.arange(start, min(start + _ROWS, len(unit)))
        scores = unit[rows] @ unit[: rows[-1]].T
        once = np.arange(rows[-1]) < rows[:, None]
        same = people[rows, None] == people[: rows[-1]]
        yield scores[once & same], scores[once & ~same]


def _highest(kept: FloatArray, scores: FloatArray, count: int) -> FloatArray:
    """Return the `count` highest of the scores kept so far and of others."""
    if len(kept) == count:
        scores = scores[scores > kept.min()]
    joined = np.concatenate([kept, scores])
    return joined if len(joined) <= count else np.partition(joined, -count)[-count:]


def _searched(
    unit: FloatArray, people: IntArray, trial: Trial, name: str
) -> tuple[float, int, int]:
    """Return the share of mated probes that are found, and how many are mated and not."""
    scores = unit[trial.probes] @ unit[trial.gallery].T
    same = people[trial.probes, None] == people[trial.gallery]
    mated = same.any(axis=1)
    unmated = int(np.count_nonzero(~mated))
    if not mated.any():
        raise BadInputError(f"{name} has no probe of a person in its gallery: copy the lists anew")
    alarms = _allowed(ALARM_RATE, unmated, f"{unmated:,} probes of people not in its gallery", name)
    threshold = np.sort(scores[~mated].max(axis=1))[-alarms]
    own = np.where(same, scores, -np.inf)[mated].max(axis=1)
    # A stranger who scores as high counts against the network.
    other = np.where(same, -np.inf, scores)[mated].max(axis=1)
    return float(np.mean((own > other) & (own >= threshold))), int(mated.sum()), unmated


def _allowed(rate: float, count: int, what: str, name: str) -> int:
    """Return how many of so many the rate allows, rounded as the toolkit does."""
    allowed = int(rate * count + 0.5)
    if not allowed:
        raise BadInputError(f"{name} has {what}, too few for a rate of {rate:g}: use all images")
    return allowed
