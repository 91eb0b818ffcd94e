"""Numbers as text, with only the digits that their spread has earned."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

# However narrow its interval, a time on a general-purpose machine is not good
# to more than one part in some thousands.
MOST_DIGITS = 4


# Of a figure with more none could be read, nor could `Decimal` round it.
_MOST_DIGITS = 24


@dataclass(frozen=True)
class Estimate:
    """It is a figure and its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Return the larger of the two sides."""
        return max(self.value - self.low, self.high - self.value)


def ratio(numerator: Estimate, denominator: Estimate) -> Estimate:
    """Return the ratio of two positive estimates, with an interval made from theirs.

    On a logarithmic scale a ratio is a difference, and the sides of its
    interval are the roots of the summed squares of the sides of the two
    intervals (the MOVER of Zou and Donner, Statistics in Medicine 27:1693,
    2008). It takes the two as independent and keeps their asymmetry.

    Example:
        >>> interval(ratio(Estimate(4.0, 3.9, 4.1), Estimate(2.0, 2.0, 2.0)))
        '1.95–2.05'
    """
    below = _log_side(numerator.value, numerator.low, denominator.high, denominator.value)
    above = _log_side(numerator.high, numerator.value, denominator.value, denominator.low)
    value = numerator.value / denominator.value
    return Estimate(value, value * math.exp(-below), value * math.exp(above))


def widened(estimate: Estimate, reach: float) -> Estimate:
    """Return a positive estimate that is also uncertain by a cause that its interval does not know.

    Args:
        estimate: with an interval made without that cause.
        reach: of the 95 % interval that the cause alone would make, on a logarithmic scale.

    Example:
        >>> wider = widened(Estimate(2.0, 1.99, 2.01), 0.08)
        >>> round(wider.low, 2), round(wider.high, 2)
        (1.85, 2.17)
    """
    below, above = (
        math.hypot(math.log(end / estimate.value), reach) for end in (estimate.low, estimate.high)
    )
    value = estimate.value
    return Estimate(value, value * math.exp(-below), value * math.exp(above))


def earned(estimate: Estimate) -> str:
    """Return the value, rounded where its interval makes further digits meaningless.

    The last digit is that of the first digit of the half-width, so that the
    half-width is one to ten of its units.

    Example:
        >>> earned(Estimate(3.2712, 3.24, 3.31)), earned(Estimate(3.2712, 2.9, 3.8))
        ('3.27', '3.3')
    """
    return _text(estimate.value, _place(estimate), ROUND_HALF_EVEN)


def interval(estimate: Estimate) -> str:
    """Return the interval to the same digits, rounded outwards so that it is never too narrow.

    Example:
        >>> interval(Estimate(3.2712, 3.24, 3.31))
        '3.24–3.31'
    """
    low, high = bounds(estimate)
    return f"{low}–{high}"


def percentage(estimate: Estimate) -> tuple[str, str]:
    """Return the value and interval of a percentage, to whole ones where the interval earns less.

    Example:
        >>> percentage(Estimate(95.6, 71.2, 99.7)), percentage(Estimate(98.57, 97.6, 99.2))
        (('96', '71–100'), ('98.6', '97.6–99.2'))
    """
    # Rounded to tens, 95.6 would read as 100.
    place = min(_place(estimate), 0)
    low, high = (
        _text(estimate.low, place, ROUND_FLOOR),
        _text(estimate.high, place, ROUND_CEILING),
    )
    return _text(estimate.value, place, ROUND_HALF_EVEN), f"{low}–{high}"


def near_one(estimate: Estimate) -> tuple[str, str]:
    """Return the value and interval of a share whose distance from one is what matters.

    Digits are counted from the first that is not a nine.

    Example:
        >>> near_one(Estimate(0.99984, 0.99972, 0.99995))
        ('0.9998', '0.9997–1.0000')
        >>> near_one(Estimate(0.999984, 0.999972, 0.999995))
        ('0.99998', '0.99997–1.00000')
    """
    rest = Estimate(1.0 - estimate.value, 1.0 - estimate.high, 1.0 - estimate.low)
    value, (low, high) = earned(rest), bounds(rest)
    shown = [Decimal(1) - Decimal(text) for text in (value, high, low)]
    return str(shown[0]), f"{shown[1]}–{shown[2]}"


def compact(estimate: Estimate) -> str:
    """Return the value and half-width in the least room.

    Example:
        >>> compact(Estimate(3.2712, 3.24, 3.30))
        '3.27±0.03'
    """
    side = (estimate.high - estimate.low) / 2.0
    value, spread = (
        _text(figure, _place(estimate), ROUND_HALF_EVEN) for figure in (estimate.value, side)
    )
    return f"{value}±{spread}"


def bounds(estimate: Estimate) -> tuple[str, str]:
    """Return both ends of `interval`."""
    place = _place(estimate)
    return (
        _text(estimate.low, place, ROUND_FLOOR),
        _text(estimate.high, place, ROUND_CEILING),
    )


def significant(value: float, digits: int = MOST_DIGITS) -> str:
    """Return the value to so many significant digits, in plain notation.

    Example:
        >>> significant(0.993336), significant(220.965376), significant(13456.0, 2)
        ('0.9933', '221.0', '13,000')
    """
    return _text(value, _leading(value) - digits + 1, ROUND_HALF_EVEN)


def percent_difference(ours: float, theirs: float) -> str:
    """Return how far ours is from theirs, signed, in percent of theirs.

    Example:
        >>> percent_difference(1.003, 0.99), percent_difference(2.388, 2.1)
        ('+1.3 %', '+14 %')
    """
    percent = 100.0 * (ours / theirs - 1.0)
    if abs(percent) < 0.05:
        return "0.0 %"
    text = f"{percent:+.0f} %" if abs(percent) >= 9.95 else f"{percent:+.1f} %"
    return text.replace("-", "−")


def agrees(ours: float, published: str) -> bool:
    """Return whether ours, cut or rounded to the published digits, is the published figure.

    Example:
        >>> agrees(0.9933, "0.99"), agrees(0.999, "0.99"), agrees(1.003, "0.99")
        (True, True, False)
    """
    theirs = Decimal(published)
    exact = Decimal(repr(ours))
    return theirs in (exact.quantize(theirs, ROUND_FLOOR), exact.quantize(theirs, ROUND_HALF_EVEN))


def _log_side(upper_a: float, lower_a: float, upper_b: float, lower_b: float) -> float:
    return math.hypot(math.log(upper_a / lower_a), math.log(upper_b / lower_b))


def _place(estimate: Estimate) -> int:
    """Return the power of ten of the last digit to show."""
    finest = _leading(estimate.value) - MOST_DIGITS + 1
    spread = estimate.half_width
    if spread <= 0.0:
        return finest
    return max(finest, _leading(spread))


def _leading(value: float) -> int:
    """Power of ten of the first digit that is not zero."""
    return Decimal(repr(value)).adjusted() if value else 0


def _text(value: float, place: int, rounding: str) -> str:
    # Twelve digits: outward rounding must not take the noise of floats for a figure.
    exact = Decimal(f"{value:.12g}")
    if exact.adjusted() - place >= _MOST_DIGITS:
        return f"{value:.6g}"
    return f"{exact.quantize(Decimal(1).scaleb(place), rounding):,f}"
