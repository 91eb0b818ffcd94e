"""Kernels in half precision give what numpy gives term by term, to the last bit."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.harness.compiler import host
from facebench.harness.compiler.half_sums import in_single
from facebench.harness.compiler.tvm import import_tvm
from facebench.harness.compiler.vectors import half_vectors
from facebench.harness.compiler.workload import Convolution, Depthwise, Pooling, Window, Workload
from tests.harness.compiler.test_kernels import (
    convolutions,
    depthwise,
    drawn,
    inputs,
    last,
    run,
)

tvm = import_tvm()
# It needs TVM to be imported, and without torch's help.
from facebench.harness.compiler import tiling as tilings  # noqa: E402

AVX2 = half_vectors("x86_64-linux-gnu", ["avx", "avx2"])
AVX512 = half_vectors("x86_64-linux-gnu", ["avx", "avx512f"])

# What a CPU with AVX2, and one with AVX-512, computes half precision with.
REGISTERS = [
    AVX2,
    pytest.param(
        AVX512,
        marks=pytest.mark.skipif(
            not host.executes(["avx512f"]), reason="the processor has no AVX-512"
        ),
    ),
]


def fused(left: Any, right: Any, total: Any) -> Any:
    """Numpy's product and sum of halves, rounded once: double precision holds what is before.

    A sum in single precision is numpy's own: it holds a product of halves.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if total.dtype == np.float32:
            return left.astype(np.float32) * right.astype(np.float32) + total
        exact = left.astype(np.float64) * right.astype(np.float64) + total.astype(np.float64)
        return exact.astype(np.float16)


def places(work: Workload, y: int, x: int) -> list[tuple[int, int, int, int]]:
    """Return the taps of an output that are in the map: tap's row and column, map's row, column."""
    window = work.window
    found = []
    for ky in range(window.kernel[0]):
        for kx in range(window.kernel[1]):
            row = y * window.stride[0] - window.padding[0] + ky * window.dilation[0]
            column = x * window.stride[1] - window.padding[1] + kx * window.dilation[1]
            if 0 <= row < work.input[0] and 0 <= column < work.input[1]:
                found.append((ky, kx, row, column))
    return found


def order(work: Convolution, taps: list[Any], group: int) -> list[tuple[Any, int]]:
    """Return taps and a group's channels in the order in which they are summed."""
    channels = work.channels // work.groups
    if work.planar:
        rows = sorted({tap[0] for tap in taps})
        return [(t, c) for ky in rows for c in range(channels) for t in taps if t[0] == ky]
    of_group = range(group * channels, (group + 1) * channels)
    runs = [c for rest in range(work.shuffle) for c in of_group if c % work.shuffle == rest]
    return [(tap, c - group * channels) for tap in taps for c in runs]


def summed(work: Workload, arrays: list[np.ndarray], y: int, x: int) -> np.ndarray:
    """Return the sums (N, C) of one place."""
    image, *rest = arrays
    kind = np.float32 if in_single(work) else np.float16
    taps = places(work, y, x)
    if isinstance(work, Pooling):
        under = [image[:, :, row, column] for _, _, row, column in taps]
        if work.kind == "max":
            return np.max(under, axis=0) if under else np.full(image.shape[:2], -65504, np.float16)
        total = np.zeros(image.shape[:2], kind)
        for one in under:
            total = total + one
        return total * kind(1 / work.window.taps)
    weights, bias = rest[:2]
    total = np.broadcast_to(bias, (work.batch, len(bias))).astype(kind)
    if isinstance(work, Depthwise):
        for ky, kx, row, column in taps:
            total = fused(image[:, :, row, column], weights[:, 0, ky, kx], total)
        return total
    if work.shuffle > 1:
        split = image.reshape(work.batch, work.shuffle, -1, *work.input)
        image = split.transpose(0, 2, 1, 3, 4).reshape(image.shape)
    filters, channels = work.filters // work.groups, work.channels // work.groups
    for group in range(work.groups):
        own = slice(group * filters, (group + 1) * filters)
        for (ky, kx, row, column), channel in order(work, taps, group):
            given = image[:, group * channels + channel, row, column]
            total[:, own] = fused(given[:, None], weights[own, channel, ky, kx], total[:, own])
    return total


def finished(work: Workload, value: np.ndarray, rest: list[np.ndarray], y: int, x: int) -> Any:
    """Return what becomes of sums, every operation rounded."""
    for step in work.epilogue:
        if step == "add":
            value = value + rest[-1][:, :, y, x]
        elif step in ("relu", "relu6"):
            value = np.maximum(value, 0)
            value = np.minimum(value, 6) if step == "relu6" else value
        else:
            value = np.where(value > 0, value, value * rest[2])
    return value.astype(np.float16)


def expected(work: Workload, arrays: list[np.ndarray]) -> np.ndarray:
    """Return the output (N, H, W, C)."""
    with np.errstate(over="ignore", invalid="ignore"):
        rows = [
            [finished(work, summed(work, arrays, y, x), arrays[1:], y, x)
             for x in range(work.output[1])]
            for y in range(work.output[0])
        ]  # fmt: skip
    return np.array(rows).transpose(2, 0, 1, 3)


def halves(work: Workload, seed: int, scale: float) -> list[np.ndarray]:
    """Return operands with maps and biases of this size, weights and slopes of 1."""
    arrays = inputs(work, seed)
    if "add" in work.epilogue:
        arrays[-1] *= scale
    for number in (0, 2) if len(arrays) > 1 else (0,):
        arrays[number] *= scale
    return [array.astype(np.float16) for array in arrays]


def same_bits(work: Workload, registers: Any, seed: int, scale: float = 1.0) -> None:
    found = list(tilings.candidates(work, registers))
    draw = random.Random(seed)
    chosen = [tilings.best(work, registers), draw.choice(found)]
    several = [one for one in found if getattr(one, "rows", 1) > 1]
    chosen += draw.sample(several, min(1, len(several)))
    arrays = halves(work, seed, scale)
    truth = expected(work, arrays)
    for tiling in chosen:
        answer = run(work, tiling, registers, arrays)
        np.testing.assert_array_equal(answer, truth, err_msg=str(tiling))


@pytest.mark.parametrize("registers", REGISTERS, ids=str)
@drawn(2)
@given(work=convolutions() | depthwise(), seed=st.integers(0, 99))
def test_any_kernel_has_numpys_bits(registers: Any, work: Workload, seed: int) -> None:
    same_bits(work, registers, seed)


@pytest.mark.slow
@pytest.mark.parametrize("registers", REGISTERS, ids=str)
@drawn(24)
@given(
    work=convolutions() | depthwise(),
    seed=st.integers(0, 99),
    scale=st.sampled_from([1e-6, 1e-4, 1.0, 3e3]),
)
def test_many_kernels_have_numpys_bits(
    registers: Any, work: Workload, seed: int, scale: float
) -> None:
    """Sums that are denormal, and some that overflow, among them."""
    same_bits(work, registers, seed, scale)


@pytest.mark.parametrize("registers", REGISTERS, ids=str)
@pytest.mark.parametrize(
    "work",
    [
        Convolution(2, (1, 1), (1, 1), 75, 20, Window((1, 1)), epilogue=("prelu", "add")),
        Depthwise(1, (7, 7), (1, 1), 20, Window((7, 7)), ("leaky",)),
        Pooling(1, (7, 7), (1, 1), 20, Window((7, 7)), "mean"),
    ],
    ids=lambda work: type(work).__name__,
)
def test_sums_of_a_map_of_one_pixel_are_in_single_precision(registers: Any, work: Workload) -> None:
    assert in_single(work)
    same_bits(work, registers, 3)


def test_a_sum_that_overflows_stays_infinite() -> None:
    work = Convolution(1, (1, 2), (1, 2), 64, 16, Window((1, 1)))
    arrays = [np.full_like(array, 200) for array in halves(work, 0, 1.0)]
    answer = run(work, tilings.best(work, AVX2), AVX2, arrays)
    assert np.isinf(answer).all()
    np.testing.assert_array_equal(answer, last(np.full((1, 16, 1, 2), np.inf, np.float16)))
