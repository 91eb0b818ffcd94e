"""Compiled networks of integers give the bits that numpy gives."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.architectures.errors import RefusedError
from facebench.harness.compiler import build, host
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.compiler.tvm import import_tvm, resolve
from facebench.harness.compiler.vectors import BYTE_FEATURES, ByteVectors
from facebench.harness.models.integer_network import quantizing, reference
from facebench.harness.models.integer_network.calibrating import Range
from facebench.harness.models.integer_network.network import SumsStep
from facebench.harness.models.integer_network.reading import real_steps
from facebench.harness.models.onnx_cost.graph import read
from tests.integer_networks import (
    Drawing,
    attending,
    bottlenecks,
    drawings,
    drawn,
    ending_in_depthwise,
    shuffling,
)


def executes(features: tuple[str, ...]) -> pytest.MarkDecorator:
    reason = f"this machine lacks one of {', '.join(features)}"
    return pytest.mark.skipif(not host.executes(features), reason=reason)


tvm = import_tvm()
# These need TVM to be imported, and without torch's help.
from facebench.harness.compiler.integers import padding  # noqa: E402
from facebench.harness.compiler.integers.module import module  # noqa: E402

executed = executes(BYTE_FEATURES[0])

WIDE = ("avx512bw", "avx512vl")

# Registers of AVX2, AVX-512, and both with products of four bytes.
REGISTERS = [
    pytest.param(ByteVectors(lanes, registers, dot), marks=executes(needed), id=name)
    for name, lanes, registers, dot, needed in [
        ("avx2", 8, 16, False, BYTE_FEATURES[0]),
        ("avx2-vnni", 8, 16, True, ("avx512vnni", *WIDE)),
        ("avx512", 16, 32, False, WIDE),
        ("avx512-vnni", 16, 32, True, ("avx512vnni", *WIDE)),
    ]
]


def held(drawing: Drawing, vectors: ByteVectors, batch: int) -> None:
    """Hold a network's answers, compiled for some registers, against numpy's."""
    network, images = drawing.network(), drawing.images(batch)
    described = tvm.target.Target({"kind": "llvm", "mcpu": resolve(TARGETS["host"]).cpu})
    with tvm.transform.PassContext(disabled_pass=["s_tir.CompactBufferAllocation"]):
        executable = tvm.relax.build(module(network, batch, vectors), described)
    main = tvm.relax.VirtualMachine(executable, tvm.cpu())["main"]
    found = main(tvm.runtime.tensor(images)).numpy()
    np.testing.assert_array_equal(found, reference.embed(network, images))


@pytest.mark.parametrize("vectors", REGISTERS)
@drawn(1)
@given(drawing=drawings(), batch=st.integers(1, 2))
def test_any_network_has_the_bits_of_numpys(
    vectors: ByteVectors, drawing: Drawing, batch: int
) -> None:
    held(drawing, vectors, batch)


@pytest.mark.slow
@pytest.mark.parametrize("vectors", REGISTERS)
@drawn(40)
@given(drawing=drawings(), batch=st.integers(1, 2))
def test_many_networks_have_the_bits_of_numpys(
    vectors: ByteVectors, drawing: Drawing, batch: int
) -> None:
    held(drawing, vectors, batch)


@pytest.mark.parametrize("vectors", [REGISTERS[0], REGISTERS[3]])
def test_bottlenecks_have_the_bits_of_numpys(vectors: ByteVectors) -> None:
    held(bottlenecks(vectors.lanes), vectors, 1)


@pytest.mark.parametrize("vectors", REGISTERS[:1])
@pytest.mark.parametrize("size", [(1, 1), (3, 3), (1, 17), (3, 5)])
def test_images_of_few_pixels_have_the_bits_of_numpys(
    vectors: ByteVectors, size: tuple[int, int]
) -> None:
    drawing = Drawing(0, *size)
    drawing.sums(5)
    held(drawing, vectors, 2)


@pytest.mark.parametrize("vectors", REGISTERS[:1])
def test_sums_of_more_bits_are_rounded_to_24_before_they_are_multiplied(
    vectors: ByteVectors,
) -> None:
    drawing = Drawing(0, 3, 3)
    drawing.halves()
    held(drawing, vectors, 1)


@pytest.mark.parametrize("vectors", [REGISTERS[0], REGISTERS[3]])
def test_an_embedding_of_a_depthwise_convolution_has_the_bits_of_numpys(
    vectors: ByteVectors,
) -> None:
    held(ending_in_depthwise(0), vectors, 2)


@pytest.mark.parametrize("vectors", REGISTERS[1:3])
def test_units_that_shuffle_have_the_bits_of_numpys(vectors: ByteVectors) -> None:
    held(shuffling(vectors.lanes), vectors, 2)


@pytest.mark.slow
@pytest.mark.parametrize("vectors", REGISTERS)
@pytest.mark.parametrize("parts", [bottlenecks, shuffling, attending])
def test_parts_of_mobile_networks_have_the_bits_of_numpys(
    parts: Callable[[int], Drawing], vectors: ByteVectors
) -> None:
    for seed in range(8):
        held(parts(seed), vectors, 1 + seed % 2)


def test_a_target_without_the_instructions_is_refused(tmp_path: Path, cache_folder: Path) -> None:
    made = Drawing(0, 7, 7)
    made.sums(8)
    made.network().save(tmp_path)
    old = replace(TARGETS["cortex-a7"], name="old", features=("-neon",), required=())
    with pytest.raises(RefusedError, match="avx2 and fma, or .* old has not: use fp32"):
        build.compile_integers(tmp_path, old, 1)


@pytest.mark.parametrize("vectors", [REGISTERS[0], REGISTERS[3]])
def test_parts_of_newer_networks_have_the_bits_of_numpys(vectors: ByteVectors) -> None:
    held(attending(vectors.lanes), vectors, 2)


@pytest.mark.parametrize(
    ("filters", "channels", "groups", "merged"),
    [(6, 6, 6, 8), (12, 12, 3, 3), (6, 6, 3, 1), (18, 12, 6, 1), (16, 8, 8, 2), (5, 7, 1, 1)],
)
def test_filled_channels_change_no_sum(
    filters: int, channels: int, groups: int, merged: int
) -> None:
    draw = np.random.default_rng(filters)
    weights = draw.integers(-127, 128, (filters, channels // groups, 3, 3)).astype(np.int8)
    ones = np.ones(filters, np.float32)
    step = SumsStep("x", "y", weights, draw.integers(-99, 99, filters), ones, ones, groups=groups)
    made = padding.padded(step)
    assert made.groups == merged
    elements = draw.integers(-128, 128, (1, channels, 5, 5)).astype(np.float32)
    more = padding.held(channels) - channels
    filled = np.pad(elements, [(0, 0), (0, more), (0, 0), (0, 0)], constant_values=55)
    found = reference.convolved(made, filled, (3, 3))[:, :filters]
    np.testing.assert_array_equal(found, reference.convolved(step, elements, (3, 3)))


@drawn(20)
@given(
    st.sampled_from([1, 2, 3]),
    st.sampled_from([4, 6, 8, 10, 12, 20, 24, 40]),
    st.sampled_from([2, 4, 6, 8]),
    st.booleans(),
    st.integers(0, 1 << 32),
)
def test_products_of_four_weights_fit_16_bits_where_kernels_add_them(
    groups: int, channels: int, filters: int, alike: bool, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    total = groups * channels
    model = onnx.parser.parse_model(
        f"""<ir_version: 8, opset_import: ["" : 17]>
        network (float[1, 3, 1, 1] image) => (float[1, {groups * filters}, 1, 1] embedding) {{
            x = Conv(image, u)
            embedding = Conv <group = {groups}> (x, w)
        }}"""
    )
    weights = draw.normal(0, 1, (groups * filters, channels, 1, 1)).astype(np.float32)
    if alike:
        weights = np.sign(weights)
    first = draw.normal(0, 1, (total, 3, 1, 1)).astype(np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(first, "u"))
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
    graph = read(model, (1, 3, 1, 1))
    found = {"image": Range(0.01, 128), "x": Range(0.02, 128)}
    steps = real_steps("network", graph)
    last = quantizing.quantized("network", graph, steps, found).steps[-1]
    assert isinstance(last, SumsStep)
    kept = np.abs(padding.padded(last).weights.astype(int))
    fours = kept.shape[1] // 4
    if fours % 2 == 0:
        words = kept.reshape(len(kept), -1, 4, 2).sum(axis=2)
        assert (words * 128).max() <= np.iinfo(np.int16).max
    assert np.abs(last.weights.astype(int)).max(axis=(1, 2, 3)).min() > (31 if alike else 60)
