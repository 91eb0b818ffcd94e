"""Compiled networks of integers give the bits that numpy gives."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.architectures.errors import RefusedError
from facebench.harness.compiler import build, host
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.compiler.tvm import import_tvm, resolve
from facebench.harness.compiler.vectors import BYTE_FEATURES, ByteVectors
from facebench.harness.models.integer_network import reference
from facebench.harness.runtimes.registry import RUNTIMES
from tests.integer_networks import Drawing, bottlenecks, drawings, drawn, shuffling


def executes(features: tuple[str, ...]) -> pytest.MarkDecorator:
    reason = f"this machine lacks one of {', '.join(features)}"
    return pytest.mark.skipif(not host.executes(features), reason=reason)


tvm = import_tvm()
# These need TVM to be imported, and without torch's help.
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


@pytest.mark.parametrize("vectors", REGISTERS[1:3])
def test_units_that_shuffle_have_the_bits_of_numpys(vectors: ByteVectors) -> None:
    held(shuffling(vectors.lanes), vectors, 2)


@pytest.mark.slow
@pytest.mark.parametrize("vectors", REGISTERS)
@pytest.mark.parametrize("parts", [bottlenecks, shuffling])
def test_parts_of_mobile_networks_have_the_bits_of_numpys(
    parts: Callable[[int], Drawing], vectors: ByteVectors
) -> None:
    for seed in range(8):
        held(parts(seed), vectors, 1 + seed % 2)


def test_a_target_without_the_instructions_is_refused(tmp_path: Path, cache_folder: Path) -> None:
    made = Drawing(0, 7, 7)
    made.sums(8)
    made.network().save(tmp_path)
    with pytest.raises(RefusedError, match="avx2 and fma, or .* cortex-a7 has not: use fp32"):
        build.compile_integers(tmp_path, TARGETS["cortex-a7"], 1)
    with pytest.raises(RefusedError, match="tvm computes in int8 on CPUs that have avx2 and fma"):
        RUNTIMES["tvm"].require("int8", "cortex-a7")


@executed
def test_channels_that_four_does_not_divide_are_refused(tmp_path: Path, cache_folder: Path) -> None:
    made = Drawing(0, 7, 7)
    made.sums(6)
    made.network().save(tmp_path)
    with pytest.raises(RefusedError, match="that four divides, and map1 has 3 to 6 a group"):
        build.compile_integers(tmp_path, TARGETS["host"], 1)
