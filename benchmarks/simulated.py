"""Simulated scores whose true rates are known in closed form.

Nothing here imports the code that it is held against. A score is a sum of independent
normal parts, each of which is chance: who is in the image, the image itself, and the rest.
Genuine scores are N(d', 1), impostor scores N(0, 1), so

    TAR at a FAR f = Phi(d' - z), where z is the point that N(0, 1) exceeds with chance f,
    EER = Phi(-d' / 2), AUC = Phi(d' / sqrt(2)), best accuracy = Phi(d' / 2),

whatever the parts: these only say how far pairs of one person go together. A genuine score
has one person's part, an impostor score two; both have two images'.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

Reals = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

# d' at which the equal error rate is 0.5, 2.5 and 10 %.
DIFFICULTIES = {"easy": 5.15, "middling": 3.92, "hard": 2.56}

# Shares of a score's variance; the rest is the pair's own. PERSON is of a genuine score, STRANGER
# of each of two people in an impostor score, IMAGE of each of two images in either.
PERSON, STRANGER, IMAGE = 0.4, 0.15, 0.15

# How far two networks' parts go together: people that are hard for one are mostly hard for both.
ALIKE = 0.5


@dataclass(frozen=True, eq=False)
class Pairs:
    """Who and what is compared, P pairs.

    Attributes:
        people: `(P, 2)`; equal in a genuine pair.
        images: `(P, 2)`.
        folds: `(P,)`, ten of them.
    """

    people: Numbers
    images: Numbers
    folds: Numbers

    @property
    def same(self) -> Booleans:
        """`(P,)`; whether the pair is genuine."""
        return np.asarray(self.people[:, 0] == self.people[:, 1])


def lfw(archive: Path | None) -> Pairs:
    """LFW's own 6,000 pairs from its `pairs.txt`; drawn alike where it is not there."""
    if archive is None or not archive.is_file():
        return _like_lfw(np.random.default_rng(22))
    with tarfile.open(archive) as tar:
        name = next(one for one in tar.getnames() if one.endswith("/pairs.txt"))
        file = tar.extractfile(name)
        assert file is not None
        lines = file.read().decode().splitlines()[1:]
    number: dict[str, int] = {}
    image: dict[tuple[str, str], int] = {}
    people, images = [], []
    for words in (line.split("\t") for line in lines):
        sides = [words[:2], [words[-2], words[-1]] if len(words) == 4 else [words[0], words[2]]]
        people.append([number.setdefault(who, len(number)) for who, _ in sides])
        images.append([image.setdefault((who, which), len(image)) for who, which in sides])
    return Pairs(np.array(people), np.array(images), np.arange(len(people)) * 10 // len(people))


def _like_lfw(rng: np.random.Generator) -> Pairs:
    """In each fold 430 people of its own, few of whom are in many of 300 pairs of either kind."""
    parts = []
    for fold in range(10):
        weights = rng.pareto(2.5, 430) + 1
        weights /= weights.sum()
        genuine = np.repeat(rng.choice(430, (300, 1), p=weights), 2, axis=1)
        impostor = np.array([rng.choice(430, 2, replace=False, p=weights) for _ in range(300)])
        parts.append(np.concatenate([genuine, impostor]) + 430 * fold)
    return _with_images(np.concatenate(parts), 10, np.repeat(np.arange(10), 600), rng)


def cfp() -> Pairs:
    """As in CFP: 500 people, 50 a fold, each in 7 genuine and in 14 impostor pairs."""
    rng = np.random.default_rng(500)
    parts = []
    for fold in range(10):
        own = np.arange(50) + 50 * fold
        genuine = np.repeat(np.stack([own, own], axis=1), 7, axis=0)
        steps = rng.permutation(np.arange(1, 50))[:7]
        impostor = np.concatenate([np.stack([own, np.roll(own, step)], axis=1) for step in steps])
        parts.append(np.concatenate([genuine, impostor]))
    return _with_images(np.concatenate(parts), 14, np.repeat(np.arange(10), 700), rng)


def square(people: int, images: int, pairs: int) -> Pairs:
    """So many people, images of each, and pairs of either kind, drawn from all and shuffled."""
    rng = np.random.default_rng(people)
    inside = np.array(list(combinations(range(images), 2)))
    which = rng.permutation(people * len(inside))[:pairs]
    who = which // len(inside)
    genuine = who[:, None] * images + inside[which % len(inside)]
    drawn = rng.integers(people * images, size=(4 * pairs, 2))
    impostor = drawn[drawn[:, 0] // images != drawn[:, 1] // images][:pairs]
    shown = rng.permutation(np.concatenate([genuine, impostor]))
    return Pairs(shown // images, shown, np.arange(len(shown)) * 10 // len(shown))


def _with_images(people: Numbers, each: int, folds: Numbers, rng: np.random.Generator) -> Pairs:
    """Images at random of so many of each person, two different ones in a genuine pair."""
    first = rng.integers(each, size=len(people))
    second = np.where(
        people[:, 0] == people[:, 1],
        (first + rng.integers(1, each, size=len(people))) % each,
        rng.integers(each, size=len(people)),
    )
    return Pairs(people, people * each + np.stack([first, second], axis=1), folds)


def graphs(archive: Path | None) -> dict[str, Pairs]:
    """The pairs that procedures are held to."""
    return {
        "LFW": lfw(archive),
        "CFP-like": cfp(),
        "100 x 20": square(100, 20, 3000),
        "40 x 10": square(40, 10, 1800),
    }


def scores(pairs: Pairs, primes: Sequence[float], rng: np.random.Generator) -> Reals:
    """Scores of S networks on the same pairs, `(S, P)`, of the d' given."""
    networks = len(primes)

    def parts(count: int) -> Reals:
        """`(S, count)` of variance 1, correlated between networks."""
        own = rng.standard_normal((networks, count))
        shared = rng.standard_normal(count)
        return np.asarray(np.sqrt(1 - ALIKE) * own + np.sqrt(ALIKE) * shared)

    (a, b), (i, j), same = pairs.people.T, pairs.images.T, pairs.same
    genuine, stranger = (parts(int(pairs.people.max()) + 1) for _ in range(2))
    image = parts(int(pairs.images.max()) + 1)
    who = np.where(
        same,
        np.sqrt(PERSON) * genuine[:, a],
        np.sqrt(STRANGER) * (stranger[:, a] + stranger[:, b]),
    )
    what = np.sqrt(IMAGE) * (image[:, i] + image[:, j])
    rest = np.sqrt(1 - 2 * IMAGE - np.where(same, PERSON, 2 * STRANGER)) * parts(len(same))
    return np.asarray(who + what + rest + np.outer(primes, same))


def truth(prime: float, fars: Sequence[float]) -> dict[str, float]:
    """True figures of a network with this d'."""
    return {
        **{f"TAR at {far:g}": float(ndtr(prime + ndtri(far))) for far in fars},
        "EER": float(ndtr(-prime / 2)),
        "AUC": float(ndtr(prime / np.sqrt(2))),
        "accuracy": float(ndtr(prime / 2)),
    }


def better_by(prime: float, points: float) -> float:
    """The d' whose best accuracy is higher by so many points of a hundred."""
    return float(2 * ndtri(ndtr(prime / 2) + points / 100))


def can_gain(prime: float, points: float) -> bool:
    """Whether the best accuracy leaves room for so many points more."""
    return float(ndtr(prime / 2)) + points / 100 < 0.999


def trials(seed: int, count: int) -> Iterator[np.random.Generator]:
    """A generator for each trial; the same seed gives the same ones."""
    return (np.random.default_rng(one) for one in np.random.SeedSequence(seed).spawn(count))


@dataclass(frozen=True, eq=False)
class Searched:
    """Probes searched among distractors: M pairs of probes of one person, P probes.

    Attributes:
        people: `(P,)`, the person of each probe.
        pairs: `(M, 2)`, rows of probes.
        genuine: `(M,)`, their scores.
        impostor: `(P, D)`, scores of probes with distractors.
    """

    people: Numbers
    pairs: Numbers
    genuine: Reals
    impostor: Reals


def search(
    people: int, images: int, distractors: int, prime: float, rng: np.random.Generator
) -> Searched:
    """All images of all people searched for; each distractor is somebody else."""
    who = np.repeat(np.arange(people), images)
    inside = np.array(list(combinations(range(images), 2)))
    pairs = (np.arange(people)[:, None, None] * images + inside).reshape(-1, 2)
    image, strange, own = (rng.standard_normal(size) for size in (len(who), people, people))
    genuine = (
        prime
        + np.sqrt(PERSON) * own[who[pairs[:, 0]]]
        + np.sqrt(IMAGE) * image[pairs].sum(axis=1)
        + np.sqrt(1 - PERSON - 2 * IMAGE) * rng.standard_normal(len(pairs))
    )
    crowd = np.sqrt(STRANGER + IMAGE) * rng.standard_normal(distractors)
    probe = np.sqrt(STRANGER) * strange[who] + np.sqrt(IMAGE) * image
    rest = np.sqrt(1 - 2 * STRANGER - 2 * IMAGE) * rng.standard_normal((len(who), distractors))
    return Searched(who, pairs, genuine, probe[:, None] + crowd + rest)
