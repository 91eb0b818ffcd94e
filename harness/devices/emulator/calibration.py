"""Fits the model's three constants to published times, and judges it on what it was not fitted to.

Rows are left out by network, by device, by family of cores, or by a family together
with a network; the constants are then of the others alone. An error is the natural
logarithm of published over modelled, so that twice as long and half as long are the
same error; where it is told in per cent, it is modelled over published, less one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from facebench.harness.devices.emulator.published import Row
from facebench.harness.devices.emulator.ratio_spread import Load, RatioSpread, features
from facebench.harness.stats.arrays import Reals

Key = Callable[[Row], Hashable]

# What an interval is to hold.
LEVEL = 0.95

# How often variances are fitted, each time weighted by those before; and the least one.
_FITTED, _LEAST_VARIANCE = 8, 1e-6


def network(row: Row) -> Hashable:
    """Return what is left out together where networks are."""
    return row.time.network


def device(row: Row) -> Hashable:
    """Return what is left out together where devices are: one device may have two cores."""
    return (row.time.device, row.time.core)


def family(row: Row) -> Hashable:
    """Return what is left out together where families of cores are."""
    return row.time.core


@dataclass(frozen=True)
class Left:
    """It is a row with the error of a model that did not see it."""

    row: Row
    error: float

    @property
    def relative(self) -> float:
        """Return modelled over published, less one."""
        return float(np.exp(-self.error)) - 1


def fit(rows: Sequence[Row]) -> Reals:
    """Return the constants `(3,)`, none below zero, by least squares of relative errors."""
    from scipy.optimize import nnls  # a sixth of a second, which no process that times has to pay

    terms = np.array([row.terms.as_row() for row in rows])
    published = np.array([row.time.ms / 1e3 for row in rows])
    found: Reals = nnls(terms / published[:, None], np.ones(len(rows)))[0]
    return found


def errors(rows: Sequence[Row], constants: Reals) -> list[Left]:
    """Return the errors of rows by constants `(3,)`."""
    modelled = np.array([row.terms.as_row() for row in rows]) @ constants
    return [
        Left(row, float(np.log(row.time.ms / 1e3 / seconds)))
        for row, seconds in zip(rows, modelled, strict=True)
    ]


def left_out(rows: Sequence[Row], *keys: Key) -> list[Left]:
    """Return the error of each row by constants of the rows that share none of its keys."""
    found = []
    for group in dict.fromkeys(tuple(key(row) for key in keys) for row in rows):
        others = [
            row
            for row in rows
            if not any(key(row) == value for key, value in zip(keys, group, strict=True))
        ]
        own = [row for row in rows if tuple(key(row) for key in keys) == group]
        found += errors(own, fit(others))
    return found


@dataclass(frozen=True)
class RatioError:
    """They are two networks on one device, with the error of the ratio of their times."""

    one: Load
    other: Load
    error: float


def pairs(left: Sequence[Left]) -> list[RatioError]:
    """Return all pairs of networks on one device, each once."""
    return [
        RatioError(_load(one.row), _load(other.row), one.error - other.error)
        for group in _by_device(left)
        for one, other in combinations(group, 2)
    ]


def _load(row: Row) -> Load:
    return Load(row.count.instructions, row.count.memory_bytes)


def _by_device(left: Sequence[Left]) -> Iterable[list[Left]]:
    found: dict[Hashable, list[Left]] = {}
    for one in left:
        found.setdefault(device(one.row), []).append(one)
    return found.values()


def ratio_spread(found: Sequence[RatioError]) -> RatioSpread:
    """Return how far ratios' errors vary, fitted to their squares.

    Large errors are uncertain ones: each is weighted by the variance that it is expected to
    have, which is fitted again until it stays.
    """
    from scipy.optimize import nnls

    parts = np.array([features(pair.one, pair.other) for pair in found])
    squares = np.array([pair.error**2 for pair in found])
    expected = np.full(len(found), squares.mean())
    for _ in range(_FITTED):
        weights = nnls(parts / expected[:, None], squares / expected)[0]
        expected = np.maximum(parts @ weights, _LEAST_VARIANCE)
    return RatioSpread(*map(float, weights))


def scores(found: Sequence[RatioError], by: RatioSpread) -> list[float]:
    """Return errors of ratios over the deviation that they are expected to have."""
    return [pair.error / by.deviation(pair.one, pair.other) for pair in found]


def half_width(found: Sequence[float], level: float = LEVEL) -> float:
    """Return how far errors reach on either side of none, but for the share that is left outside.

    It is the order statistic that conformal prediction takes: of n errors the one of rank
    (n + 1) x level.
    """
    ordered = sorted(abs(error) for error in found)
    rank = min(len(ordered), int(np.ceil((len(ordered) + 1) * level)))
    return ordered[rank - 1]


def coverage(rows: Sequence[Row]) -> float:
    """Return the share of errors of a left-out family that intervals of the others would hold."""
    held: list[bool] = []
    for others, own in _families(rows):
        width = half_width([one.error for one in others])
        held += [abs(one.error) <= width for one in own]
    return sum(held) / len(held)


def ratio_coverage(rows: Sequence[Row]) -> list[tuple[RatioError, float]]:
    """Return the pairs of networks of left-out families, each with the half width of the interval
    that the others give its ratio.
    """
    found = []
    for others, own in _families(rows):
        known = pairs(others)
        by = ratio_spread(known)
        width = half_width(scores(known, by))
        found += [(pair, width * by.deviation(pair.one, pair.other)) for pair in pairs(own)]
    return found


def _families(rows: Sequence[Row]) -> Iterator[tuple[list[Left], list[Left]]]:
    """Yield for each family the errors of all others, each family of theirs left out in turn, and
    its own.
    """
    for left_family in dict.fromkeys(map(family, rows)):
        others = [row for row in rows if family(row) != left_family]
        own = [row for row in rows if family(row) == left_family]
        yield left_out(others, family), errors(own, fit(others))


@dataclass(frozen=True)
class ErrorSpread:
    """They are standard deviations of errors: a device's own, and of networks on one device."""

    between: float
    within: float


def spread(left: Sequence[Left]) -> ErrorSpread:
    """Return how much of the errors devices share, and how much they do not.

    The mean error counts as between devices: it is what is not known of the next one.
    """
    by_device: dict[Hashable, list[float]] = {}
    for one in left:
        by_device.setdefault(device(one.row), []).append(one.error)
    groups = [np.array(group) for group in by_device.values()]
    squares = math.fsum(float(((group - group.mean()) ** 2).sum()) for group in groups)
    degrees = sum(len(group) - 1 for group in groups)
    means = np.array([group.mean() for group in groups])
    per_device = squares / degrees / np.mean([len(group) for group in groups])
    between = max(0.0, float((means**2).mean()) - float(per_device))
    return ErrorSpread(math.sqrt(between), math.sqrt(squares / degrees))
