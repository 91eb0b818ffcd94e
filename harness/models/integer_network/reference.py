"""Computes a network of integers in numpy, to the last bit as docs/int8.md says.

Sums are worked out in single precision where all of them are below 2^24, whatever part of them
is summed, and else in double: both hold them exactly. Their products with multipliers are worked
out in double precision, which holds all 48 bits of them.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from facebench.harness.models.integer_network.network import (
    FRACTION,
    ImageStep,
    IntegerNetwork,
    Integers,
    Pair,
    PairStep,
    PoolStep,
    ShuffleStep,
    SliceStep,
    SumsStep,
    TableStep,
)
from facebench.harness.stats.arrays import FloatArray, Floats


def embed(network: IntegerNetwork, images: FloatArray) -> FloatArray:
    """Return embeddings (N, E) of images (N, 3, H, W), preprocessed; both float32."""
    return values(network, images)[network.steps[-1].result][:, :, 0, 0]


def values(network: IntegerNetwork, images: FloatArray) -> dict[str, FloatArray]:
    """Return what every step gives, by name: (N, C, H, W), integers too as float32."""
    found: dict[str, FloatArray] = {}
    for step in network.steps:
        if isinstance(step, ImageStep):
            found[step.result] = quantized(step, images)
        elif isinstance(step, SumsStep):
            found[step.result] = summed(network, step, found)
        elif isinstance(step, PoolStep):
            found[step.result] = _pooled(network, step, found[step.source])
        elif isinstance(step, ShuffleStep):
            found[step.result] = shuffled(step, found[step.source])
        elif isinstance(step, SliceStep):
            end = step.first + network.maps[step.result].shape[0]
            found[step.result] = found[step.source][:, step.first : end]
        elif isinstance(step, TableStep):
            table = step.table.astype(np.float32)
            found[step.result] = table[found[step.source].astype(np.int64)]
        elif isinstance(step, PairStep):
            found[step.result] = _paired(network, step, found)
        else:
            found[step.result] = np.concatenate([found[one] for one in step.sources], axis=1)
    return found


def quantized(step: ImageStep, images: FloatArray) -> FloatArray:
    """Return the integers of images (N, 3, H, W)."""
    low, high = (np.float32(limit) for limit in step.limits)
    cut = np.minimum(np.maximum(images, low), high)
    parts = rounded(cut, np.float32(step.multiplier)).astype(np.int32) + step.offset
    integers: FloatArray = np.clip(parts >> FRACTION, 0, 255).astype(np.float32)
    return integers


def rounded(numbers: FloatArray, multipliers: FloatArray | np.float32) -> FloatArray:
    """Return products, of any shape, rounded to the nearest integer, halves to the even one."""
    products = numbers.astype(np.float64) * np.asarray(multipliers, np.float64)
    return np.rint(products, out=products).astype(np.float32)


def summed(network: IntegerNetwork, step: SumsStep, found: dict[str, FloatArray]) -> FloatArray:
    """Return what a step gives, (N, F, H, W), of the maps by name, (N, C, H, W)."""
    source = network.maps[step.source]
    shape = network.maps[step.result].shape if not step.real else (len(step.bias), 1, 1)
    sums: Floats = convolved(step, found[step.source] - source.zero, shape[1:])
    if step.added:
        added = found[step.added] - network.maps[step.added].zero
        sums = sums + rounded(added, _per_channel(step.added_multipliers))
    sums = sums.astype(np.float32, copy=False)  # to the nearest, halves to the even one
    products = _multiplied(step, sums)
    if step.real:
        return products.astype(np.float32)
    integers = np.rint(products, out=products).astype(np.float32)
    integers += network.maps[step.result].zero
    return np.clip(integers, *step.limits, out=integers)


def _multiplied(step: SumsStep, sums: FloatArray) -> Floats:
    """Return exact products of sums (N, F, H, W) and a step's multipliers."""
    multipliers, negative = _per_channel(step.multipliers), _per_channel(step.negative)
    if (multipliers != negative).any():
        # Ones and zeros: to choose between two numbers takes several times as long.
        positive = (sums > 0).astype(np.float32)
        multipliers = positive * multipliers + (1 - positive) * negative
    products = sums.astype(np.float64)
    products *= multipliers
    return products


def convolved(step: SumsStep, elements: FloatArray, output: Pair) -> Floats:
    """Return exact sums (N, F, H, W) over elements (N, C, H, W) that are zero outside."""
    filters, channels, *kernel = step.weights.shape
    kind = _kind_of_sums(step)
    given = elements.astype(kind, copy=False)
    under = windows(given, _pair(kernel), step.stride, step.padding, output, step.dilation)
    weights = step.weights.astype(kind).reshape(step.groups, -1, channels, *kernel)
    shape = (len(given), step.groups, filters // step.groups, *output)
    sums = np.empty(shape, kind)
    sums[:] = step.bias.astype(kind).reshape(*shape[1:3], 1, 1)
    for ky, kx in np.ndindex(*kernel):
        own, tap = weights[..., ky, kx], under[..., ky, kx]
        if channels == 1:
            sums += own[..., None] * tap[:, :, None]
        else:
            columns = tap.reshape(len(given), step.groups, channels, -1)
            sums += (own @ columns).reshape(shape)
    return sums.reshape(len(given), filters, *output)


def _kind_of_sums(step: SumsStep) -> type[np.floating[Any]]:
    """Return the type that holds all sums of bytes, and parts of them."""
    weights = np.abs(step.weights.astype(np.int64)).sum(axis=(1, 2, 3))
    largest = (255 * weights + np.abs(step.bias.astype(np.int64))).max()
    return np.float32 if largest < 1 << np.finfo(np.float32).nmant + 1 else np.float64


def windows(
    elements: Floats,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    output: Pair,
    dilation: Pair = (1, 1),
    outside: float = 0.0,
) -> Floats:
    """Return what is under each window, (N, C, OH, OW, KH, KW), of elements (N, C, H, W)."""
    around = [(0, 0), (0, 0)]
    for axis in (0, 1):
        reach = (output[axis] - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1
        after = max(0, reach - padding[axis] - elements.shape[2 + axis])
        around.append((padding[axis], after))
    padded = np.pad(elements, around, constant_values=outside) if np.any(around) else elements
    reach_y, reach_x = ((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))
    seen = np.lib.stride_tricks.sliding_window_view(padded, (reach_y, reach_x), axis=(2, 3))
    ends = [(count - 1) * step + 1 for count, step in zip(output, stride, strict=True)]
    strided: Floats = seen[
        :, :, : ends[0] : stride[0], : ends[1] : stride[1], :: dilation[0], :: dilation[1]
    ]
    return strided


def _pooled(network: IntegerNetwork, step: PoolStep, elements: FloatArray) -> FloatArray:
    result = network.maps[step.result]
    if step.kind == "max":
        under = windows(
            elements, step.kernel, step.stride, step.padding, result.shape[1:], outside=0.0
        )
        largest = functools.reduce(np.maximum, _taps(under))
        return np.clip(largest, *step.limits)
    about_zero = elements.astype(np.float64) - network.maps[step.source].zero
    under = windows(about_zero, step.kernel, step.stride, step.padding, result.shape[1:])
    sums = functools.reduce(np.add, _taps(under)).astype(np.float32)
    return np.clip(result.zero + rounded(sums, np.float32(step.multiplier)), *step.limits)


def _taps(under: Floats) -> Iterator[Floats]:
    """Yield what lies under each place of a window, (N, C, OH, OW)."""
    for ky, kx in np.ndindex(*under.shape[4:]):
        yield under[..., ky, kx]


def _paired(network: IntegerNetwork, step: PairStep, found: dict[str, FloatArray]) -> FloatArray:
    one, other = (found[name] for name in step.sources)
    if step.kind == "max":
        return np.maximum(one, other)
    zeros = (network.maps[name].zero for name in step.sources)
    about_zero = [values - zero for values, zero in zip((one, other), zeros, strict=True)]
    products = rounded(about_zero[0] * about_zero[1], np.float32(step.multiplier))
    return np.clip(network.maps[step.result].zero + products, 0, 255)


def shuffled(step: ShuffleStep, elements: FloatArray) -> FloatArray:
    """Return elements (N, C, H, W) with their channels shuffled."""
    batch, channels, *extents = elements.shape
    split = elements.reshape(batch, step.groups, channels // step.groups, *extents)
    return split.swapaxes(1, 2).reshape(elements.shape)


def _per_channel(numbers: FloatArray | Integers) -> FloatArray:
    return np.asarray(numbers, np.float32)[:, None, None]


def _pair(values: Sequence[int]) -> Pair:
    first, second = values
    return first, second
