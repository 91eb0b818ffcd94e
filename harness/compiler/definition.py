"""Defines what each workload computes, as plain loops in TVM's tensor expressions.

Weights are (F, C / groups, KH, KW), not packed. It is what kernels are compared with,
and what a search is given as its workload.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import te, tirx

from facebench.harness.compiler.activations import ACTIVATIONS
from facebench.harness.compiler.workload import (
    Convolution,
    Depthwise,
    Epilogue,
    Pooling,
    Shifted,
    Window,
    Workload,
)

# A tensor, and an index or a value, of TVM's: they come without types.
Tensor = Any
Expr = Any


def definition(work: Workload) -> tirx.PrimFunc:
    """Return the plain form; its arguments are in a kernel's order, with the weights as they
    came.
    """
    source = _input(work)
    if isinstance(work, Pooling):
        given, result = [source], _pooled(work, source)
    else:
        groups = work.groups if isinstance(work, Convolution) else work.channels
        weights = te.placeholder(work.weights, "float32", name="weights")
        bias = te.placeholder(work.weights[:1], "float32", name="bias")
        given = [source, weights, bias]
        if isinstance(work, Shifted):
            sums = _moved(work, source, weights)
        else:
            sums = _convolved(work, source, weights, groups)
        result = te.compute(sums.shape, lambda n, y, x, f: sums[n, y, x, f] + bias[f], "biased")
    operands = _operands(work.epilogue, result)
    for step in work.epilogue:
        result = _step(step, result, operands)
    return te.create_prim_func([*given, *operands.values(), result])


def _input(work: Workload) -> Tensor:
    planar = isinstance(work, Convolution) and work.planar
    height, width = work.input
    packed, as_image = (height, width, work.channels), (work.channels, height, width)
    return te.placeholder((work.batch, *(as_image if planar else packed)), "float32", name="input")


def _convolved(
    work: Convolution | Depthwise, source: Tensor, weights: Tensor, groups: int
) -> Tensor:
    """Sums over a group's channels and the taps, (N, H, W, F)."""
    filters, channels = int(weights.shape[0]), int(weights.shape[1])
    padded = _padded(work, source, 0.0)
    channel = te.reduce_axis((0, channels), "channel")
    ky, kx = _taps(work.window)

    def sums(n: Expr, y: Expr, x: Expr, f: Expr) -> Expr:
        place = f // (filters // groups) * channels + channel
        row, column = _place(work.window, y, x, ky, kx)
        product = padded[n, row, column, place] * weights[f, channel, ky, kx]
        return te.sum(product, axis=[channel, ky, kx])

    return te.compute((work.batch, *work.output, filters), sums, name="sums")


def _moved(work: Shifted, source: Tensor, weights: Tensor) -> Tensor:
    """Sums over the channels, each where its tap of the window is, (N, H, W, F)."""
    padded = _padded(work, source, 0.0)
    channel = te.reduce_axis((0, work.channels), "channel")
    columns = work.window.kernel[1]
    middle = work.window.padding[0] * columns + work.window.padding[1]

    def sums(n: Expr, y: Expr, x: Expr, f: Expr) -> Expr:
        moved = channel < work.share * work.window.taps
        tap = tirx.Select(moved, channel // max(work.share, 1), tirx.const(middle, "int32"))
        row, column = _place(work.window, y, x, tap // columns, tap % columns)
        return te.sum(padded[n, row, column, channel] * weights[f, channel, 0, 0], axis=channel)

    return te.compute((work.batch, *work.output, work.filters), sums, name="sums")


def _pooled(work: Pooling, source: Tensor) -> Tensor:
    """Return the largest or the mean under the window, (N, H, W, C)."""
    largest = work.kind == "max"
    padded = _padded(work, source, float(np.finfo(np.float32).min) if largest else 0.0)
    ky, kx = _taps(work.window)
    reduce = te.max if largest else te.sum

    def under(n: Expr, y: Expr, x: Expr, c: Expr) -> Expr:
        row, column = _place(work.window, y, x, ky, kx)
        return reduce(padded[n, row, column, c], axis=[ky, kx])

    shape = (work.batch, *work.output, work.channels)
    pooled = te.compute(shape, under, name="pooled")
    if largest:
        return pooled
    factor = tirx.const(1 / work.window.taps, "float32")
    return te.compute(shape, lambda *at: pooled[at] * factor, name="mean")


def _padded(work: Workload, source: Tensor, outside: float) -> Tensor:
    """Return the input as (N, H, W, C) in the network's order of channels, with what is around
    it.
    """
    top, left = work.window.padding
    height, width = work.input
    rows, columns = (_extent(work, axis) for axis in (0, 1))

    def element(n: Expr, y: Expr, x: Expr, c: Expr) -> Expr:
        inside = tirx.all(y >= top, y < top + height, x >= left, x < left + width)
        value = _element(work, source, n, y - top, x - left, c)
        return tirx.if_then_else(inside, value, tirx.const(outside, "float32"))

    return te.compute((work.batch, rows, columns, work.channels), element, name="padded")


def _element(work: Workload, source: Tensor, n: Expr, y: Expr, x: Expr, c: Expr) -> Expr:
    if not isinstance(work, Convolution):
        return source[n, y, x, c]
    if work.planar:
        return source[n, c, y, x]
    # A channel shuffle makes rows of groups columns; this is where a channel came from.
    came = c % work.shuffle * (work.channels // work.shuffle) + c // work.shuffle
    return source[n, y, x, came]


def _extent(work: Workload, axis: int) -> int:
    """Return rows, or columns, that windows reach over."""
    window = work.window
    reach = (window.kernel[axis] - 1) * window.dilation[axis] + 1
    return (work.output[axis] - 1) * window.stride[axis] + reach


def _taps(window: Window) -> tuple[Expr, Expr]:
    rows, columns = window.kernel
    return te.reduce_axis((0, rows), "ky"), te.reduce_axis((0, columns), "kx")


def _place(window: Window, y: Expr, x: Expr, ky: Expr, kx: Expr) -> tuple[Expr, Expr]:
    row = y * window.stride[0] + ky * window.dilation[0]
    return row, x * window.stride[1] + kx * window.dilation[1]


def _operands(epilogue: Epilogue, result: Tensor) -> dict[str, Tensor]:
    """Return what an epilogue reads, in a kernel's order."""
    operands = {}
    if {"prelu", "leaky"} & set(epilogue):
        operands["slopes"] = te.placeholder(result.shape[3:], "float32", name="slopes")
    if "add" in epilogue:
        operands["added"] = te.placeholder(result.shape, "float32", name="added")
    return operands


def _step(step: str, given: Tensor, operands: dict[str, Tensor]) -> Tensor:
    """Apply one of `workload.Epilogue`'s steps."""
    zero, six = tirx.const(0, "float32"), tirx.const(6, "float32")

    def value(n: Expr, y: Expr, x: Expr, c: Expr) -> Expr:
        element = given[n, y, x, c]
        if step == "add":
            return element + operands["added"][n, y, x, c]
        if step == "relu":
            return tirx.max(element, zero)
        if step == "relu6":
            return tirx.min(tirx.max(element, zero), six)
        if step in ACTIVATIONS:
            return ACTIVATIONS[step].of(element)
        slope = operands["slopes"][c]
        return tirx.Select(element > zero, element, element * slope)

    return te.compute(given.shape, value, name=step)
