"""Which tilings are tried, and in which order."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import fields

from facebench.harness.compiler.tiling import Tiling


class Proposals:
    """It is a workload's tilings, none proposed twice.

    The model's favourites come first. After them, one in two is a neighbour of the best so
    far, one in four the model's next, and one in four any: what the model is wrong about.

    Args:
        tilings: by modelled cost, the model's choice first.
    """

    def __init__(self, tilings: Sequence[Tiling]) -> None:
        self._tilings = tilings
        self._values: list[tuple[int, ...]] = [
            tuple(getattr(tiling, field.name) for field in fields(tiling)) for tiling in tilings
        ]
        self._left = dict.fromkeys(range(len(tilings)))
        self._random = random.Random(0)

    def first(self, count: int, known: Sequence[int] = ()) -> list[int]:
        """Return numbers of the model's favourites.

        Args:
            count: how many.
            known: what searches found before: they come after the model's choice.
        """
        choice, *others = self._left
        wanted = list(dict.fromkeys([choice, *known, *others]))
        return [self._take(number) for number in wanted[:count]]

    def next(self, count: int, best: int) -> list[int]:
        """Return numbers of `count` tilings, fewer where no more are left.

        Args:
            best: the number of the best so far.
        """
        found: list[int] = []
        near = self._neighbours(best)
        while len(found) < count and self._left:
            turn = len(found) % 4
            neighbour = next(near, None) if turn % 2 == 0 else None
            if neighbour is not None:
                found.append(self._take(neighbour))
            elif turn == 3:
                found.append(self._take(self._random.choice(list(self._left))))
            else:
                found.append(self._take(next(iter(self._left))))
        return found

    def _take(self, number: int) -> int:
        del self._left[number]
        return number

    def _neighbours(self, best: int) -> Iterator[int]:
        """Yield those left that differ from the best in one field, the nearest first, lazily."""

        def distance(number: int) -> float:
            pairs = zip(self._values[number], self._values[best], strict=True)
            return sum(abs(a - b) / max(a, b, 1) for a, b in pairs)

        def alike(number: int) -> bool:
            pairs = zip(self._values[number], self._values[best], strict=True)
            return sum(a != b for a, b in pairs) == 1

        for number in sorted(filter(alike, list(self._left)), key=distance):
            if number in self._left:
                yield number
