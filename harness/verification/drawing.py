"""Draws pairs from people's images, the same from a seed on any machine.

Nobody is in two folds, so that a threshold is never chosen on people it is
tested on. In a fold every person takes part about equally often, however many
images there are of each: LFW's own pairs lean to the few people with hundreds.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from facebench.architectures.errors import BadInputError
from facebench.harness.verification.faces import Pair

FOLDS = 10
# Genuine pairs of a fold, and impostor pairs: as many as LFW has.
MOST = 300

Item = TypeVar("Item")
People = Mapping[str, Sequence[str]]


def draw_pairs(people: People, seed: int, where: str) -> list[Pair]:
    """Return pairs in 10 folds, each with as many genuine as impostor pairs; all folds alike.

    Args:
        people: the images of each person.
        seed: what the draw depends on, beside the images' names.
        where: what a message calls the images.

    Raises:
        BadInputError: there are too few people, or too few with two images.
    """
    # Of Python's generators only `random()` is promised to stay as it is.
    rng = random.Random(seed)
    folds = _deal(people, rng, where)
    each = min(min(MOST, _genuine_count(fold), _impostor_count(fold)) for fold in folds)
    pairs = []
    for number, fold in enumerate(folds):
        pairs += [Pair(a, b, True, number) for a, b in _take(_genuine(fold, rng), each)]
        pairs += [Pair(a, b, False, number) for a, b in _take(_impostor(fold, rng), each)]
    return pairs


def _deal(people: People, rng: random.Random, where: str) -> list[dict[str, Sequence[str]]]:
    """Return the people of each fold: those with most images first, to the fold with fewest
    people.
    """
    names = _shuffled(sorted(people), rng)
    several = sorted((n for n in names if len(people[n]) > 1), key=lambda n: -len(people[n]))
    single = [name for name in names if len(people[name]) == 1]
    if len(several) < FOLDS or len(several) + len(single) < 2 * FOLDS:
        raise BadInputError(
            f"{where} has {len(several)} people with two or more images and "
            f"{len(several) + len(single)} in all, where {FOLDS} folds that share nobody need at "
            f"least {FOLDS} and {2 * FOLDS}: add people, or write the pairs yourself as a list:FILE"
        )
    folds: list[dict[str, Sequence[str]]] = [{} for _ in range(FOLDS)]
    for name in (*several, *single):
        poorest = min(folds, key=lambda fold: (len(fold), sum(map(len, fold.values()))))
        poorest[name] = sorted(people[name])
    return folds


def _genuine_count(fold: People) -> int:
    return sum(math.comb(len(images), 2) for images in fold.values())


def _impostor_count(fold: People) -> int:
    return math.comb(sum(map(len, fold.values())), 2) - _genuine_count(fold)


def _genuine(fold: People, rng: random.Random) -> Iterator[tuple[str, str]]:
    """Yield a new random pair of each person in turn, as long as there are any."""
    left = {name: math.comb(len(fold[name]), 2) for name in fold if len(fold[name]) > 1}
    drawn: set[frozenset[str]] = set()
    while left:
        for name in _shuffled(list(left), rng):
            pair = _two(fold[name], rng)
            while frozenset(pair) in drawn:
                pair = _two(fold[name], rng)
            drawn.add(frozenset(pair))
            left[name] -= 1
            if not left[name]:
                del left[name]
            yield pair


def _two(images: Sequence[str], rng: random.Random) -> tuple[str, str]:
    """Return an image, and another one among the rest."""
    i, j = _index(rng, len(images)), _index(rng, len(images) - 1)
    return images[i], images[j + (j >= i)]


def _impostor(fold: People, rng: random.Random) -> Iterator[tuple[str, str]]:
    """Random images of people who are paired at random in turn, endlessly, with repetitions."""
    while True:
        names = _shuffled(list(fold), rng)
        for first, second in zip(names[::2], names[1::2], strict=False):
            yield _one(fold[first], rng), _one(fold[second], rng)


def _take(pairs: Iterable[tuple[str, str]], count: int) -> list[tuple[str, str]]:
    """Return the first distinct pairs, whichever image comes first; there are as many."""
    chosen: dict[frozenset[str], tuple[str, str]] = {}
    for pair in pairs:
        chosen.setdefault(frozenset(pair), pair)
        if len(chosen) == count:
            break
    return list(chosen.values())


def _shuffled(items: Sequence[Item], rng: random.Random) -> list[Item]:
    return sorted(items, key=lambda _: rng.random())


def _one(items: Sequence[Item], rng: random.Random) -> Item:
    return items[_index(rng, len(items))]


def _index(rng: random.Random, count: int) -> int:
    return int(rng.random() * count)
