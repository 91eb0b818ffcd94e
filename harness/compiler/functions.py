"""Computes functions of single precision in vectors: LLVM would call the C library for each.

Activations and attention apply exp, erf, tanh and the sigmoid to whole maps. A call for each
element takes ten times what a polynomial of a vector takes. Polynomials are of the Cephes library
(exp) and of Eigen (erf, tanh); their errors are a few units in the last place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from tvm import tirx

# An expression of TVM's IR, which comes without types.
Expr = Any

# Of exp: beyond these a result is no normal number; log2(e); ln(2) in two parts, the first with
# few digits; and the polynomial of (exp(x) - 1 - x) / x^2, the highest power first.
_LEAST, _MOST = -87.33654, 88.37626
_LOG2_E, _LN2_HIGH, _LN2_LOW = 1.44269504088896341, 0.693359375, -2.12194440e-4
_EXP = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 0.5)

# Of 2 to the power of a number between -1/2 and 1/2: the polynomial whose largest relative error is
# the least, 8e-8 before its factors are rounded, by Remez' algorithm; the highest power first.
_POWER = (1.3276471993e-3, 9.6755413345e-3, 5.5507132735e-2, 2.4022119724e-1, 6.9314696706e-1, 1.0)

# Beyond these the sigmoid is 1, or less than 1e-37.
_SIGMOID_END = 87.0

# Of erf and tanh: where they are 1 in single precision, and an odd polynomial over an even one, of
# x^2, the highest power first.
_ERF_END, _TANH_END = 4.0, 7.90531110763549805
_ERF = (
    (-2.72614225801306e-10, 2.77068142495902e-8, -2.10102402082508e-6, -5.69250639462346e-5,
     -7.34990630326855e-4, -2.95459980854025e-3, -1.60960333262415e-2),
    (-1.45660718464996e-5, -2.13374055278905e-4, -1.68282697438203e-3, -7.37332916720468e-3,
     -1.42647390514189e-2),
)  # fmt: skip
_TANH = (
    (-2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-8,
     1.48572235717979e-5, 6.37261928875436e-4, 4.89352455891786e-3),
    (1.19825839466702e-6, 1.18534705686654e-4, 2.26843463243900e-3, 4.89352518554385e-3),
)  # fmt: skip

# Above the level of TVM's own rules.
_LEVEL = 20


@cache
def register() -> None:
    """Have TVM lower these functions so, for all that it compiles in this process.

    Of a half they are computed in single precision, and rounded once; of a double as TVM does.
    """
    for name, function in (("exp", exp), ("erf", erf), ("tanh", tanh), ("sigmoid", sigmoid)):
        tirx.op.register_intrin_lowering(f"tirx.{name}", "llvm", f=_rule(function), level=_LEVEL)


def _rule(function: Callable[[Expr], Expr]) -> Callable[[Expr], Expr]:
    def lowered(call: Expr) -> Expr:
        x = call.args[0]
        element = str(x.ty.dtype).partition("x")[0]
        if element == "float32":
            return function(x)
        if element == "float16":
            return _cast(function(_cast(x, "float32")), "float16")
        return call

    return lowered


def exp(x: Expr) -> Expr:
    """Return e to the power of `x`; 2.4e38 above 88.376, 1.2e-38 below -87.336."""

    def of_bounded(x: Expr) -> Expr:
        power = tirx.floor(x * like(x, _LOG2_E) + like(x, 0.5))
        return _let(power, lambda power: of_parts(x, power))

    def of_parts(x: Expr, power: Expr) -> Expr:
        rest = x - power * like(x, _LN2_HIGH) - power * like(x, _LN2_LOW)

        def series(rest: Expr) -> Expr:
            return _polynomial(rest, _EXP) * rest * rest + rest + like(x, 1.0)

        exponent = (_cast(power, "int32") + like(x, 127, "int32")) << like(x, 23, "int32")
        return _let(rest, series) * tirx.reinterpret(_kind(x, "float32"), exponent)

    # The order of both arguments keeps what is no number.
    bounded = tirx.Min(like(x, _MOST), tirx.Max(like(x, _LEAST), x))
    return _let(bounded, of_bounded)


def sigmoid(x: Expr) -> Expr:
    """Return 1 / (1 + exp(-x)), by a power of two: two multiplications fewer than `exp` takes.

    The product that is no whole number by a multiply-add is not rounded.
    """
    one, factor = like(x, 1.0), like(x, -_LOG2_E)

    def of_bounded(x: Expr) -> Expr:
        power = tirx.floor(x * factor + like(x, 0.5))
        return _let(power, lambda power: of_parts(x, power))

    def of_parts(x: Expr, power: Expr) -> Expr:
        exponent = (_cast(power, "int32") + like(x, 127, "int32")) << like(x, 23, "int32")
        scale = tirx.reinterpret(_kind(x, "float32"), exponent)
        falling = _let(x * factor - power, lambda rest: _polynomial(rest, _POWER)) * scale
        return one / (one + falling)

    end = like(x, _SIGMOID_END)
    return _let(tirx.Min(end, tirx.Max(like(x, -_SIGMOID_END), x)), of_bounded)


def erf(x: Expr) -> Expr:
    """Return the error function of `x`."""
    return _rational(x, _ERF_END, *_ERF)


def tanh(x: Expr) -> Expr:
    """Return the hyperbolic tangent of `x`."""
    return _rational(x, _TANH_END, *_TANH)


def like(x: Expr, value: float, element: str = "float32") -> Expr:
    """Return a number of an element's type in as many lanes as the expression `x` has."""
    lanes = _lanes(x)
    number = tirx.const(value, element)
    return tirx.Broadcast(number, lanes) if lanes > 1 else number


def _rational(x: Expr, end: float, odd: Sequence[float], even: Sequence[float]) -> Expr:
    def of_bounded(x: Expr) -> Expr:
        return _let(x * x, lambda s: x * _polynomial(s, odd) / _polynomial(s, even))

    return _let(tirx.Min(like(x, end), tirx.Max(like(x, -end), x)), of_bounded)


def _polynomial(x: Expr, coefficients: Sequence[float]) -> Expr:
    value = like(x, coefficients[0])
    for one in coefficients[1:]:
        value = value * x + like(x, one)
    return value


def _let(value: Expr, body: Callable[[Expr], Expr]) -> Expr:
    """Return `body` of a value that is computed once."""
    held = tirx.Var("held", value.ty)
    return tirx.Let(held, value, body(held))


def _lanes(x: Expr) -> int:
    return int(getattr(x.ty.dtype, "lanes", 1))


def _kind(x: Expr, element: str) -> str:
    lanes = _lanes(x)
    return f"{element}x{lanes}" if lanes > 1 else element


def _cast(x: Expr, element: str) -> Expr:
    return tirx.Cast(_kind(x, element), x)
