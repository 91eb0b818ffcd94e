"""Each kernel, with any tiling and any registers, gives what torch gives."""

import random
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from facebench.harness.compiler import build
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.compiler.tvm import import_tvm
from facebench.harness.compiler.vectors import Vectors, vectors
from facebench.harness.compiler.workload import (
    Convolution,
    Depthwise,
    Epilogue,
    Pooling,
    Shifted,
    Window,
    Workload,
    key,
    name,
)
from tests.harness.compiler.shifted_weights import as_convolution
from tests.sampling import today

tvm = import_tvm()
# These need TVM to be imported, and without torch's help.
from facebench.harness.compiler import tiling as tilings  # noqa: E402
from facebench.harness.compiler.activations import ACTIVATIONS  # noqa: E402
from facebench.harness.compiler.kernels import emit, provider  # noqa: E402
from facebench.harness.compiler.kernels.strassen import StrassenTiling  # noqa: E402

# Registers of SSE, AVX, AVX-512 and NEON; all run here, as LLVM's vectors of any length do.
REGISTERS = [
    Vectors(4, 16, False),
    Vectors(8, 16, False),
    Vectors(16, 32, False),
    Vectors(4, 32, True),
    Vectors(4, 16, False, named=True),
]
EPILOGUES = [
    (),
    ("relu",),
    ("relu6",),
    ("prelu",),
    ("leaky",),
    ("add",),
    ("add", "relu"),
    ("leaky", "add"),
]

TORCHS = {
    "silu": functional.silu,
    "gelu": functional.gelu,
    "gelu_tanh": partial(functional.gelu, approximate="tanh"),
    "hard_swish": functional.hardswish,
    "hard_sigmoid": functional.hardsigmoid,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}


def run(
    work: Workload, tiling: Any, registers: Vectors, arrays: list[np.ndarray], times: int = 1
) -> np.ndarray:
    """The kernel's outputs (times, N, H, W, C) from NCHW input, weights, bias, slopes, added map.

    Of one time there is no axis.
    """
    made = provider.function(work, tiling, registers).with_attr("global_symbol", "kernel")
    target = tvm.target.Target({"kind": "llvm", "mcpu": build.resolve(TARGETS["host"]).cpu})
    library = tvm.tirx.build(tvm.IRModule({"kernel": made}), target=target, pipeline="s_tir")
    image, *rest = arrays
    given = [image if getattr(work, "planar", False) else last(image)]
    if rest:
        given += [provider.packing(work, tiling, registers)(rest[0]), *rest[1:]]
    if "add" in work.epilogue:
        given[-1] = last(given[-1])
    channels = work.filters if isinstance(work, Convolution) else work.channels
    output = tvm.runtime.tensor(np.full((work.batch, *work.output, channels), np.nan, image.dtype))
    tensors = [tvm.runtime.tensor(np.ascontiguousarray(a)) for a in given]
    answers = []
    for _ in range(times):
        library["kernel"](*tensors, output)
        answers.append(output.numpy().copy())
    return answers[0] if times == 1 else np.stack(answers)


def last(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1))


def inputs(work: Workload, seed: int = 0) -> list[np.ndarray]:
    draw = np.random.default_rng(seed)
    arrays = [draw.standard_normal((work.batch, work.channels, *work.input))]
    if isinstance(work, Pooling):
        return [arrays[0].astype(np.float32)]
    filters = work.filters if isinstance(work, Convolution) else work.channels
    arrays.append(draw.standard_normal(work.weights))
    arrays.append(draw.standard_normal(filters))
    if {"prelu", "leaky"} & set(work.epilogue):
        arrays.append(draw.uniform(-1, 1 if "leaky" in work.epilogue else 3, filters))
    if "add" in work.epilogue:
        arrays.append(draw.standard_normal((work.batch, filters, *work.output)))
    return [array.astype(np.float32) for array in arrays]


def expected(work: Workload, arrays: list[np.ndarray]) -> np.ndarray:
    """The same by torch, in double precision."""
    if isinstance(work, Shifted):
        arrays = [arrays[0], as_convolution(work, arrays[1]), *arrays[2:]]
    image, *rest = (torch.from_numpy(array).double() for array in arrays)
    window = work.window
    if isinstance(work, Pooling):
        pool = functional.max_pool2d if work.kind == "max" else functional.avg_pool2d
        return last(pool(image, window.kernel, window.stride, window.padding).numpy())
    groups = work.channels
    if isinstance(work, Convolution):
        groups = work.groups
        if work.shuffle > 1:
            split = image.reshape(work.batch, work.shuffle, -1, *work.input)
            image = split.transpose(1, 2).reshape(image.shape)
    weights, bias, *more = rest
    below, right = (
        max(0, (o - 1) * s + (k - 1) * d + 1 - i - p)
        for o, s, k, d, i, p in zip(
            work.output,
            window.stride,
            window.kernel,
            window.dilation,
            work.input,
            window.padding,
            strict=True,
        )
    )
    padded = functional.pad(image, (window.padding[1], right, window.padding[0], below))
    total = functional.conv2d(padded, weights, bias, window.stride, 0, window.dilation, groups)[
        :, :, : work.output[0], : work.output[1]
    ]
    for step in work.epilogue:
        if step in ACTIVATIONS:
            total = TORCHS[step](total)
        elif step == "add":
            total = total + more[-1]
        elif step in ("prelu", "leaky"):
            total = functional.prelu(total, more[0])
        else:
            total = {"relu": functional.relu, "relu6": functional.relu6}[step](total)
    return last(total.numpy())


def error(answer: np.ndarray, truth: np.ndarray) -> float:
    return float(np.abs(answer - truth).max() / np.abs(truth).max())


def held(work: Workload, registers: Vectors, seed: int) -> None:
    """Hold the model's choice and two others against torch, and one of two rows of outputs."""
    found = list(tilings.candidates(work, registers))
    draw = random.Random(seed)
    chosen = [tilings.best(work, registers), *draw.sample(found, min(2, len(found)))]
    several = [one for one in found if getattr(one, "rows", 1) > 1]
    chosen += draw.sample(several, min(1, len(several)))
    arrays = inputs(work, seed)
    truth = expected(work, arrays)
    for tiling in chosen:
        assert error(run(work, tiling, registers, arrays), truth) < 1e-5, tiling


@st.composite
def windows(draw: st.DrawFn) -> Window:
    kernel = draw(st.sampled_from([(1, 1), (3, 3), (5, 5), (1, 3), (2, 2)]))
    return Window(
        kernel,
        draw(st.sampled_from([(1, 1), (2, 2), (2, 1)])),
        (draw(st.integers(0, kernel[0] // 2)), draw(st.integers(0, kernel[1] // 2))),
        draw(st.sampled_from([(1, 1), (2, 2)])) if kernel != (1, 1) else (1, 1),
    )


def output_of(extents: tuple[int, int], window: Window) -> tuple[int, int]:
    """With as much padding below and to the right as above and to the left."""
    rows, columns = (
        (extents[axis] + 2 * window.padding[axis] - (window.kernel[axis] - 1)
         * window.dilation[axis] - 1) // window.stride[axis] + 1
        for axis in (0, 1)
    )  # fmt: skip
    return rows, columns


EXTENTS = st.tuples(st.integers(9, 16), st.integers(9, 16))


@st.composite
def convolutions(draw: st.DrawFn) -> Convolution:
    window, extents = draw(windows()), draw(EXTENTS)
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    planar = groups == 1 and draw(st.booleans())
    channels = groups * draw(st.integers(1, 9))
    return Convolution(
        batch=draw(st.integers(1, 2)),
        input=extents,
        output=output_of(extents, window),
        channels=channels,
        filters=groups * draw(st.integers(1, 40)),
        window=window,
        groups=groups,
        shuffle=1 if planar else draw(st.sampled_from([n for n in (1, 2, 3) if channels % n == 0])),
        planar=planar,
        epilogue=draw(st.sampled_from(EPILOGUES)),
    )


@st.composite
def shifted(draw: st.DrawFn) -> Shifted:
    kernel, stride, extents = draw(st.sampled_from([3, 5])), draw(st.integers(1, 2)), draw(EXTENTS)
    window = Window((kernel, kernel), (stride, stride), (kernel // 2, kernel // 2))
    return Shifted(
        batch=draw(st.integers(1, 2)),
        input=extents,
        output=output_of(extents, window),
        channels=draw(st.integers(1, 80)),
        filters=draw(st.integers(1, 40)),
        window=window,
        epilogue=draw(st.sampled_from(EPILOGUES)),
    )


@st.composite
def depthwise(draw: st.DrawFn) -> Depthwise | Pooling:
    window, extents = draw(windows()), draw(EXTENTS)
    batch, channels = draw(st.integers(1, 2)), draw(st.integers(1, 70))
    output = output_of(extents, window)
    if draw(st.booleans()):
        return Depthwise(batch, extents, output, channels, window, draw(st.sampled_from(EPILOGUES)))
    window = Window(window.kernel, window.stride, window.padding)
    kind = draw(st.sampled_from(["max", "mean"]))
    return Pooling(batch, extents, output_of(extents, window), channels, window, kind)


def drawn(examples: int) -> settings:
    return settings(max_examples=examples, deadline=None, derandomize=True)


@pytest.mark.parametrize("registers", REGISTERS, ids=str)
@drawn(2)
@given(work=convolutions(), seed=st.integers(0, 99))
def test_any_convolution_is_torchs(registers: Vectors, work: Convolution, seed: int) -> None:
    held(work, registers, seed)


@pytest.mark.parametrize("registers", REGISTERS, ids=str)
@drawn(2)
@given(work=depthwise(), seed=st.integers(0, 99))
def test_any_depthwise_convolution_or_pool_is_torchs(
    registers: Vectors, work: Depthwise | Pooling, seed: int
) -> None:
    held(work, registers, seed)


@pytest.mark.parametrize(("registers", "work"), [
    (REGISTERS[2], Pooling(1, (112, 56), (1, 1), 20, Window((112, 56)), "mean")),
    (REGISTERS[3], Pooling(1, (20, 19), (6, 5), 20, Window((17, 17), padding=(1, 1)), "mean")),
], ids=str)  # fmt: skip
def test_a_mean_of_many_numbers_keeps_its_digits(registers: Vectors, work: Pooling) -> None:
    random, equal = inputs(work), inputs(work)
    equal[0][:] = equal[0][..., :1, :1]
    tiling = tilings.best(work, registers)
    for arrays, most in ((random, 1e-5), (equal, 3e-6)):
        assert error(run(work, tiling, registers, arrays), expected(work, arrays)) < most


@pytest.mark.parametrize("step", ACTIVATIONS)
def test_an_activation_of_any_number_is_torchs(step: str) -> None:
    numbers = np.concatenate([
        np.linspace(-100, 100, 2001),
        np.linspace(-8, 8, 1601),
        [0.0, -0.0, 1e-30, -1e-30, 1e-40, -1e-40, 1e30, -1e30, 3e38, -3e38, np.inf, np.nan],
    ])  # fmt: skip
    points = np.resize(numbers, (1, 40, 10, 10)).astype(np.float32)
    registers = REGISTERS[2]
    work = Depthwise(1, (10, 10), (10, 10), 40, Window((1, 1)), (step,))
    arrays = [points, np.ones(work.weights, np.float32), np.zeros(40, np.float32)]
    answer = run(work, tilings.best(work, registers), registers, arrays)
    truth = expected(work, arrays)
    np.testing.assert_array_equal(np.isnan(answer), np.isnan(truth))
    np.testing.assert_array_equal(answer[np.isinf(truth)], truth[np.isinf(truth)])
    finite = np.isfinite(truth)
    off = np.abs(answer[finite] - truth[finite]) / np.maximum(np.abs(truth[finite]), 1)
    assert off.max() < 1e-6


@pytest.mark.parametrize(("registers", "epilogue"), [
    (REGISTERS[1], ("silu",)),
    (REGISTERS[2], ("add", "hard_swish")),
    (REGISTERS[3], ("gelu", "add")),
], ids=str)  # fmt: skip
def test_an_activation_follows_the_sums_of_any_kernel(
    registers: Vectors, epilogue: Epilogue
) -> None:
    work = Convolution(1, (5, 7), (5, 7), 9, 20, Window((1, 1)), epilogue=epilogue)
    arrays = inputs(work)
    answer = run(work, tilings.best(work, registers), registers, arrays)
    assert error(answer, expected(work, arrays)) < 1e-6


@st.composite
def halved(draw: st.DrawFn) -> tuple[Convolution, StrassenTiling]:
    """A pointwise convolution of an even number of channels, and seven products that give it."""
    channels, filters = (2 * draw(st.integers(1, 40)) for _ in range(2))
    batch, half, chunks = draw(st.integers(1, 2)), draw(st.integers(1, 9)), draw(st.integers(1, 3))
    extents = (chunks, 2 * half)
    epilogue = draw(st.sampled_from([one for one in EPILOGUES if "relu6" not in one]))
    work = Convolution(
        batch, extents, extents, channels, filters, Window((1, 1)), epilogue=epilogue
    )
    pixels, vectors = draw(st.integers(1, 7)), draw(st.integers(1, 3))
    return work, StrassenTiling(pixels, vectors, draw(st.sampled_from([4, 8])), 2 * half)


@pytest.mark.parametrize("registers", [REGISTERS[2], REGISTERS[3]], ids=str)
@drawn(3)
@given(drawn=halved(), seed=st.integers(0, 99))
def test_seven_products_are_torchs(
    registers: Vectors, drawn: tuple[Convolution, StrassenTiling], seed: int
) -> None:
    work, tiling = drawn
    arrays = inputs(work, seed)
    assert error(run(work, tiling, registers, arrays), expected(work, arrays)) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("registers", [REGISTERS[2], REGISTERS[3]], ids=str)
@drawn(30)
@given(drawn=halved(), seed=st.integers(0, 99))
def test_seven_products_of_many_kernels_are_torchs(
    registers: Vectors, drawn: tuple[Convolution, StrassenTiling], seed: int
) -> None:
    work, tiling = drawn
    arrays = inputs(work, seed)
    assert error(run(work, tiling, registers, arrays), expected(work, arrays)) < 1e-5


def test_each_thread_has_sums_of_pixels_of_its_own() -> None:
    work = Convolution(1, (14, 14), (14, 14), 256, 256, Window((1, 1)))
    arrays = inputs(work)
    # Of 7 chunks threads begin amid one.
    answers = run(work, StrassenTiling(7, 1, 4, 28), REGISTERS[2], arrays, times=40)
    assert error(answers, expected(work, arrays)) < 1e-5


def test_seven_products_of_one_task_need_no_threads() -> None:
    work = Convolution(1, (1, 4), (1, 4), 8, 16, Window((1, 1)))
    arrays = inputs(work)
    answer = run(work, StrassenTiling(2, 1, 4, 4), REGISTERS[2], arrays)
    assert error(answer, expected(work, arrays)) < 1e-5


def test_seven_products_share_their_work_and_have_pixels_and_digits_enough() -> None:
    def chunks(size: int, registers: Vectors) -> set[int]:
        work = Convolution(1, (size, size), (size, size), 128, 256, Window((1, 1)))
        found = tilings.candidates(work, registers)
        return {size**2 // one.chunk for one in found if isinstance(one, StrassenTiling)}

    wide = replace(REGISTERS[2], halved=True)
    # Of 7 chunks one of two threads would have 4.
    assert chunks(14, wide) == {14}
    assert not chunks(7, wide)
    assert not chunks(14, REGISTERS[1])
    assert not chunks(14, REGISTERS[2])
    assert not chunks(14, REGISTERS[3])
    assert not chunks(14, replace(wide, element="float16", in_single=True))


@pytest.mark.parametrize("registers", today(REGISTERS, 3), ids=str)
@drawn(1)
@given(work=shifted(), seed=st.integers(0, 99))
def test_any_convolution_of_shifted_channels_is_torchs(
    registers: Vectors, work: Shifted, seed: int
) -> None:
    held(work, registers, seed)


@pytest.mark.slow
@pytest.mark.parametrize("registers", REGISTERS, ids=str)
@drawn(24)
@given(work=convolutions() | depthwise() | shifted(), seed=st.integers(0, 99))
def test_many_kernels_are_torchs(registers: Vectors, work: Workload, seed: int) -> None:
    held(work, registers, seed)


@pytest.mark.parametrize("registers", REGISTERS, ids=str)
def test_tilings_keep_their_sums_in_registers(registers: Vectors) -> None:
    work = Convolution(1, (14, 14), (14, 14), 128, 256, Window((1, 1)))
    for tiling in tilings.candidates(work, registers):
        assert tiling.pixels * tiling.vectors + tiling.vectors < registers.registers


def test_a_tiling_is_not_larger_than_its_map() -> None:
    work = Convolution(1, (1, 1), (1, 1), 512, 128, Window((1, 1)))
    assert {t.pixels for t in tilings.candidates(work, REGISTERS[1])} == {1}


def test_pixels_that_would_evict_one_another_are_not_a_tile() -> None:
    """1024 channels put pixels 4096 bytes apart: in one set of the first-level cache."""
    work = Convolution(1, (7, 7), (7, 7), 1024, 1024, Window((1, 1)))
    assert tilings.best(work, Vectors(16, 32, False)).pixels <= 8


def test_registers_are_those_of_the_instruction_set() -> None:
    assert vectors("aarch64-linux-gnu", ["neon"]) == Vectors(4, 32, True)
    assert vectors("x86_64-linux-gnu", ["avx2", "avx"]) == Vectors(8, 16, False)
    assert vectors("x86_64-linux-gnu", ["avx512f", "avx"]) == Vectors(16, 32, False)
    zens = [vectors("x86_64-linux-gnu", ["avx512f"], f"znver{number}") for number in (4, 5)]
    assert zens == [Vectors(16, 32, False, halved=True), Vectors(16, 32, False)]
    assert vectors("armv7l-linux-gnueabihf", ["vfp4"]) == Vectors(4, 16, False, named=True)


def test_lanes_cover_a_width_and_spans_an_extent() -> None:
    assert emit.register_lanes(20, 8) == (8, 8, 4)
    assert emit.register_lanes(7, 4) == (4, 2, 1)
    for extent in range(1, 60):
        for most in range(1, 30):
            covered = [
                start + tile * size + i
                for start, count, size in emit.spans(extent, most)
                for tile in range(count)
                for i in range(size)
            ]
            assert covered == list(range(extent))
            sizes = [size for _, _, size in emit.spans(extent, most)]
            assert max(sizes) <= most
            assert max(sizes) - min(sizes) <= 1


def test_a_key_tells_workloads_apart() -> None:
    plain = Convolution(1, (14, 14), (14, 14), 128, 256, Window((1, 1)))
    strided = Convolution(1, (14, 14), (7, 7), 128, 256, Window((1, 1), (2, 2)))
    window = Window((3, 3), padding=(1, 1))
    shifted = Shifted(1, (14, 14), (14, 14), 128, 256, window)
    dense = Convolution(1, (14, 14), (14, 14), 128, 256, window)
    channelwise = Depthwise(1, (14, 14), (14, 14), 128, Window((3, 3)))
    assert len({*map(key, (plain, strided, shifted, dense, channelwise))}) == 5
    assert shifted.madds == plain.madds
    assert name(shifted) == "shifted3x3_14x14_128to256"
    assert name(plain) == "pointwise_14x14_128to256"
    assert name(replace(strided, epilogue=("add", "relu"))) == "pointwise_7x7_128to256_add_relu"
