"""Half precision's arithmetic, bit for bit, in instructions of single precision.

A CPU that has no half precision computes with it what one that has computes. A sum and a product
of two halves, rounded to single precision first, round to the right half: single precision has
two bits more than twice as many (S. Figueroa, "When is double rounding innocuous?", SIGNUM
Newsletter 30, 1995). A product that is added is not rounded between, so there single precision
rounds to odd, which is innocuous with two bits more than a half has (S. Boldo and G. Melquiond,
"Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd", IEEE
Transactions on Computers 57, 2008). AVX-512 has multiply-adds that round up and down, of which
the odd one is taken; elsewhere it is made of what the addition lost.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

# A value of TVM's IR: it comes without types.
Expr = Any

# How AVX-512's instructions are told to round: to less, to more; without exceptions.
_DOWN, _UP = 9, 10

# The lanes of a register of theirs.
DIRECTED_LANES = 16


def rounded(value: Expr, lanes: int) -> Expr:
    """Return the nearest half, as a number of single precision."""
    return tirx.Cast(_kind("float32", lanes), tirx.Cast(_kind("float16", lanes), value))


def product_added_by_directions(left: Expr, right: Expr, total: Expr) -> Expr:
    """Return what `product_added` does, of `DIRECTED_LANES` lanes, by AVX-512's instructions."""

    def directed(mode: int) -> Expr:
        name, how = "llvm.x86.avx512.vfmadd.ps.512", tirx.IntImm("int32", mode)
        return T.Bind(tirx.call_llvm_pure_intrin(total.ty, name, left, right, total, how))

    down, up = directed(_DOWN), directed(_UP)
    one, zero = (_all(tirx.IntImm("int32", number), DIRECTED_LANES) for number in (1, 0))
    bits = tirx.reinterpret(_kind("int32", DIRECTED_LANES), down)
    odd = tirx.NE(tirx.bitwise_and(bits, one), zero)
    # Where both are even they are the same, or the zeros of either sign, of which up has the right.
    return rounded(tirx.Select(odd, down, up), DIRECTED_LANES)


def product_added(left: Expr, right: Expr, total: Expr, lanes: int) -> Expr:
    """Return the half that is nearest to a product plus a total; all are halves, in single."""
    product = T.Bind(left * right)  # exact: 22 bits
    total = T.Bind(total)
    added = as_written(product + total)
    # What the addition lost (D. Knuth, The Art of Computer Programming, volume 2, 4.2.2).
    shared = as_written(added - product)
    lost = T.Bind((product - as_written(added - shared)) + (total - shared))
    return rounded(_to_odd(added, lost, lanes), lanes)


def _to_odd(value: Expr, lost: Expr, lanes: int) -> Expr:
    """Return the neighbour with an odd last bit, on the side of what was lost, if anything was."""
    zero, one = (_all(tirx.IntImm("int32", number), lanes) for number in (0, 1))
    nothing = _all(tirx.FloatImm("float32", 0.0), lanes)
    bits = T.Bind(tirx.reinterpret(_kind("int32", lanes), value))
    signs = tirx.bitwise_xor(bits, tirx.reinterpret(_kind("int32", lanes), lost))
    away = tirx.bitwise_or(tirx.shift_right(signs, _all(tirx.IntImm("int32", 31), lanes)), one)
    # Of infinity what is lost is no number, which is neither less nor more.
    inexact = tirx.Or(lost < nothing, lost > nothing)
    even = tirx.EQ(tirx.bitwise_and(bits, one), zero)
    changed = tirx.Select(tirx.And(inexact, even), away, zero)
    return tirx.reinterpret(_kind("float32", lanes), bits + changed)


def as_written(value: Expr) -> Expr:
    """Return a value that LLVM, which may take sums for associative, does not take apart."""
    return T.Bind(tirx.call_llvm_pure_intrin(value.ty, "llvm.arithmetic.fence", value))


def _kind(name: str, lanes: int) -> str:
    return name if lanes == 1 else f"{name}x{lanes}"


def _all(value: Expr, lanes: int) -> Expr:
    return tirx.Broadcast(value, lanes) if lanes > 1 else value
