"""Finds the ranges of a network's values on images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from facebench.harness.stats.arrays import FloatArray

# Elements of a source between whose results a range may end.
_GRID = 4096


@dataclass(frozen=True)
class Range:
    """It says which real numbers 0 to 255 stand for: scale * (q - zero) + shift.

    Only an image has a shift, of half a step at most: its bytes are pixels as they were, whether
    or not one of them is zero.
    """

    scale: float
    zero: int
    shift: float = 0.0


def range_between(low: float | np.float32, high: float | np.float32) -> Range:
    """Return the range from a number to another, and to zero if that is outside."""
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    scale = (high - low) / 255 or 1.0
    return Range(scale, round(-low / scale))


def image_range(low: float, high: float) -> Range:
    """Return the range whose first and last step are what pixels of 0 and of 255 become."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / 255 or 1.0
    zero = round(-low / scale)
    return Range(scale, zero, scale * zero + low)


def trimmed(given: Range, of: Callable[[FloatArray], FloatArray], tolerance: float) -> Range:
    """Return a range without the ends where a function of it changes by no more than a tolerance.

    What is below the range then stands for its end, and has the function's value there.
    """
    places = np.linspace(0, 255, _GRID, dtype=np.float32)
    elements: FloatArray = np.float32(given.scale) * (places - np.float32(given.zero))
    values = of(elements)
    first = _flat(values, tolerance, int((elements <= 0).sum()))
    last = _GRID - 1 - _flat(values[::-1], tolerance, int((elements >= 0).sum()))
    return range_between(elements[first], elements[last])


def _flat(values: FloatArray, tolerance: float, allowed: int) -> int:
    """Return the last of the allowed places up to which all values, (N,), are near to its own."""
    place = 0
    for end in range(1, allowed):
        if np.abs(values[:end] - values[end]).max() > tolerance:
            break
        place = end
    return place
