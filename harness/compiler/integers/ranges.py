"""Says of a step's weights which integers it can give."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from facebench.harness.models.integer_network.network import IntegerMap, SumsStep

# Digits of a multiplier, which single precision holds.
_DIGITS = 24


def short(step: SumsStep, maps: Mapping[str, IntegerMap]) -> bool:
    """Return whether the result's zero may be added before products are rounded, in 16 bits.

    Products and zero have to fit. Where the zero is odd no product may be halfway between two
    integers: its rounding to the even one would turn to the other.

    Args:
        step: that gives a map.
        maps: by name, those of the step among them.
    """
    sums = _reach(maps[step.source]) * np.abs(step.weights.astype(np.float64)).sum(axis=(1, 2, 3))
    sums += np.abs(step.bias)
    if step.added:
        sums += _reach(maps[step.added]) * step.added_multipliers + 1
    sums = sums.astype(np.float32)  # as each is converted, which keeps their order
    multipliers = np.stack([step.multipliers, step.negative]).astype(np.float64)
    if (sums * np.abs(multipliers)).max() + 255 >= np.iinfo(np.int16).max:
        return False
    return maps[step.result].zero % 2 == 0 or bool((halved(multipliers) > sums).all())


def halved(multipliers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the least positive integers whose products end in a half; infinity where none does.

    Args:
        multipliers: of any shape, each of 24 bits times a power of two.
    """
    fractions, exponents = np.frexp(multipliers)
    digits = np.abs(fractions * 2.0**_DIGITS).astype(np.int64)
    powers = (digits & -digits).astype(np.float64)  # the largest power of two in each
    least = np.ldexp(0.5, _DIGITS - exponents) / np.maximum(powers, 1)
    return np.where((digits == 0) | (least < 1), np.inf, least)


def _reach(given: IntegerMap) -> int:
    """Return how far a map's integers are from its zero at most."""
    return max(given.zero, 255 - given.zero)
