"""Computes the spread of a rate over millions of pairs that share people.

It is `Members.spread` of `facebench.harness.stats.clustered`, for the share of pairs that
something holds of. What a person's pairs and those of two people add up to is counted, so that
nothing has to be held for each pair but who is in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from facebench.harness.stats.arrays import IntArray, Reals
from facebench.harness.stats.clustered import ClusteredSpread

# Pairs that are counted at a time.
_PART = 2**20


@dataclass(frozen=True, eq=False)
class PairCounts:
    """They count N pairs by the people in them.

    Attributes:
        first: `(N,)`; a number, 0 to `people` - 1, for who is in each pair.
        second: `(N,)`; the other one, or the same.
        people: how many there are.
    """

    first: npt.NDArray[np.integer[Any]]
    second: npt.NDArray[np.integer[Any]]
    people: int

    def __len__(self) -> int:
        return len(self.first)

    def spread(self, chosen: IntArray) -> ClusteredSpread:
        """Return the spread of the share of pairs that are chosen.

        Args:
            chosen: `(C,)`; their places.
        """
        count, rate = len(self), len(chosen) / len(self)
        chosen_first, chosen_second = self.first[chosen], self.second[chosen]
        share = np.minimum(self._of_each / count, 0.5)
        sums = self._sums(chosen_first, chosen_second) - rate * self._of_each
        squares = (sums / count / (1 - share)) ** 2
        total, fourth = float(squares.sum()), float((squares**2).sum())
        keys, times = np.unique(self._keys(chosen_first, chosen_second), return_counts=True)
        twos, numbers = self._of_two
        # Of two people: (chosen - rate * pairs)^2, which is rate^2 pairs^2 where none is chosen.
        both = keys >= 0
        pairs = numbers[np.searchsorted(twos, keys[both])]
        found = times[both].astype(np.float64)
        twice = np.sum(found**2) - 2 * rate * np.sum(found * pairs)
        twice += rate**2 * float(np.sum(numbers.astype(np.float64) ** 2))
        return ClusteredSpread(
            variance=total - float(twice) / count**2,
            independent=rate * (1 - rate) / count,
            carriers=total**2 / fourth if fourth else 0.0,
        )

    @cached_property
    def _of_each(self) -> Reals:
        """Pairs of each person, `(people,)`."""
        return self._sums(self.first, self.second)

    @cached_property
    def _of_two(self) -> tuple[IntArray, IntArray]:
        """Numbers of two people who have pairs, ascending, and how many they have."""
        keys = np.empty(len(self), np.int64)
        for start in range(0, len(self), _PART):
            part = slice(start, start + _PART)
            keys[part] = self._keys(self.first[part], self.second[part])
        keys.sort()
        keys = keys[np.searchsorted(keys, 0) :]
        begins = np.flatnonzero(np.diff(keys, prepend=-1))
        return keys[begins], np.diff(begins, append=len(keys))

    def _keys(
        self, first: npt.NDArray[np.integer[Any]], second: npt.NDArray[np.integer[Any]]
    ) -> IntArray:
        """Return a number for the two people of each pair, -1 where there is only one."""
        low, high = np.minimum(first, second), np.maximum(first, second)
        return np.where(first == second, -1, low.astype(np.int64) * self.people + high)

    def _sums(
        self, first: npt.NDArray[np.integer[Any]], second: npt.NDArray[np.integer[Any]]
    ) -> Reals:
        total = np.zeros(self.people)
        for start in range(0, len(first), _PART):
            one, two = first[start : start + _PART], second[start : start + _PART]
            total += np.bincount(one, minlength=self.people)
            total += np.bincount(two[one != two], minlength=self.people)
        return total
