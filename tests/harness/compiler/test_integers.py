"""Compiled networks of integers give the bits that numpy gives."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facebench.architectures.errors import RefusedError
from facebench.harness.compiler import build, host
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.compiler.tvm import import_tvm, resolve
from facebench.harness.compiler.vectors import BYTE_FEATURES, ByteVectors
from facebench.harness.models.integer_network import reference
from facebench.harness.models.integer_network.network import (
    ImageStep,
    IntegerMap,
    IntegerNetwork,
    JoinStep,
    PoolStep,
    ShuffleStep,
    Step,
    SumsStep,
)
from facebench.harness.runtimes.registry import RUNTIMES
from facebench.harness.stats.arrays import FloatArray


def executes(features: tuple[str, ...]) -> pytest.MarkDecorator:
    reason = f"this machine lacks one of {', '.join(features)}"
    return pytest.mark.skipif(not host.executes(features), reason=reason)


tvm = import_tvm()
# These need TVM to be imported, and without torch's help.
from facebench.harness.compiler.integers.module import module  # noqa: E402

executed = executes(BYTE_FEATURES)

WIDE = ("avx512bw", "avx512vl")

# Registers of AVX2, AVX-512, and both with products of four bytes.
REGISTERS = [
    pytest.param(ByteVectors(lanes, registers, dot), marks=executes(needed), id=name)
    for name, lanes, registers, dot, needed in [
        ("avx2", 8, 16, False, BYTE_FEATURES),
        ("avx2-vnni", 8, 16, True, ("avx512vnni", *WIDE)),
        ("avx512", 16, 32, False, WIDE),
        ("avx512-vnni", 16, 32, True, ("avx512vnni", *WIDE)),
    ]
]

ACTIVATIONS = ("", "leaky", "prelu", "limits")


class Drawing:
    """A network of random steps, each after the one before."""

    def __init__(self, seed: int, height: int, width: int) -> None:
        self._random = np.random.default_rng(seed)
        self.maps = {"image": self._map(3, height, width)}
        zero = self.maps["image"].zero
        self.steps: list[Step] = [ImageStep("image", ((0 - zero) / 128, (255 - zero) / 128), 128.0)]

    def _map(self, channels: int, height: int, width: int) -> IntegerMap:
        zero = self._random.choice([0, 255, self._random.integers(256)])
        return IntegerMap((channels, height, width), 1.0, int(zero))

    def _next(self, channels: int, kernel: tuple[int, int], stride: int, padding: int) -> str:
        _, *extents = self.maps[self.steps[-1].result].shape
        rows, columns = (
            (e + 2 * padding - k) // stride + 1 for e, k in zip(extents, kernel, strict=True)
        )
        name = f"map{len(self.steps)}"
        self.maps[name] = self._map(channels, rows, columns)
        return name

    def sums(
        self,
        filters: int,
        kernel: tuple[int, int] = (1, 1),
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        activation: str = "",
        added: str = "",
        real: bool = False,
    ) -> None:
        """Add a convolution whose results fill their range and more."""
        draw, source = self._random, self.steps[-1].result
        shape = (filters, self.maps[source].shape[0] // groups, *kernel)
        taps = int(np.prod(shape[1:]))
        # Whatever the bytes are, a sum stays below 2^24.
        most = min(127, (1 << 22) // (255 * taps))
        weights = draw.integers(-most, most + 1, shape).astype(np.int8)
        spread = most * 70 * np.sqrt(taps)
        bias = draw.integers(-int(spread), int(spread) + 1, filters).astype(np.int32)
        multipliers = (draw.choice([0.0, 20, 60, 300], filters) / spread).astype(np.float32)
        slopes = {"leaky": (-0.5, 1.0), "prelu": (-1.0, 3.0)}.get(activation, (1.0, 1.0))
        step = SumsStep(
            source,
            "embedding" if real else self._next(filters, kernel, stride, padding),
            weights,
            bias,
            multipliers,
            (multipliers * draw.uniform(*slopes, filters)).astype(np.float32),
            (stride, stride),
            (padding, padding),
            groups=groups,
            added=added,
            added_multipliers=draw.uniform(0, spread / 70, filters * bool(added)).astype(
                np.float32
            ),
            limits=(30, 180) if activation == "limits" else (0, 255),
            real=real,
        )
        self.steps.append(step)

    def pool(self, kind: str, kernel: int, stride: int, padding: int) -> None:
        source = self.steps[-1].result
        result = self._next(self.maps[source].shape[0], (kernel, kernel), stride, padding)
        if kind == "max":
            self.maps[result] = IntegerMap(self.maps[result].shape, 1.0, self.maps[source].zero)
        multiplier = 1.0 if kind == "max" else float(np.float32(1.7 / kernel**2))
        pair = (kernel, kernel), (stride, stride), (padding, padding)
        self.steps.append(PoolStep(source, result, kind, *pair, multiplier))

    def shuffle(self, groups: int) -> None:
        source = self.steps[-1].result
        result = self._next(self.maps[source].shape[0], (1, 1), 1, 0)
        self.maps[result] = self.maps[source]
        self.steps.append(ShuffleStep(source, result, groups))

    def join(self, *sources: str) -> None:
        channels = sum(self.maps[name].shape[0] for name in sources)
        self.steps.append(JoinStep(sources, self._next(channels, (1, 1), 1, 0)))

    def network(self) -> IntegerNetwork:
        """Return the network, which ends in a product with the whole of its last map."""
        _, *extents = self.maps[self.steps[-1].result].shape
        self.sums(8, (extents[0], extents[1]), real=True)
        return IntegerNetwork(self.maps, tuple(self.steps))

    def images(self, batch: int) -> FloatArray:
        """Return noise, in part beyond the range."""
        return self._random.uniform(-1.5, 1.5, (batch, 3, *self.maps["image"].shape[1:])).astype(
            np.float32
        )


def held(drawing: Drawing, vectors: ByteVectors, batch: int) -> None:
    """Hold a network's answers, compiled for some registers, against numpy's."""
    network, images = drawing.network(), drawing.images(batch)
    described = tvm.target.Target({"kind": "llvm", "mcpu": resolve(TARGETS["host"]).cpu})
    with tvm.transform.PassContext(disabled_pass=["s_tir.CompactBufferAllocation"]):
        executable = tvm.relax.build(module(network, batch, vectors), described)
    main = tvm.relax.VirtualMachine(executable, tvm.cpu())["main"]
    found = main(tvm.runtime.tensor(images)).numpy()
    np.testing.assert_array_equal(found, reference.embed(network, images))


@st.composite
def drawings(draw: st.DrawFn) -> Drawing:
    made = Drawing(draw(st.integers(0, 999)), draw(st.integers(7, 19)), draw(st.integers(7, 19)))
    channels = draw(st.sampled_from([4, 24, 64, 72, 132]))
    made.sums(channels, (3, 3), draw(st.sampled_from([1, 2])), 1, activation="leaky")
    for _ in range(draw(st.integers(1, 3))):
        activation = draw(st.sampled_from(ACTIVATIONS))
        kind = draw(st.sampled_from(["pointwise", "depthwise", "grouped", "pool"]))
        kernel, stride = draw(st.sampled_from([(1, 1), (2, 1), (3, 1), (3, 2), (5, 1)]))
        padding = kernel // 2
        if kind == "pool":
            made.pool(draw(st.sampled_from(["mean", "max"])), 3, stride, draw(st.integers(0, 1)))
        elif kind == "depthwise":
            given = (kernel, kernel), stride, padding
            made.sums(channels, *given, channels, activation)
        elif kind == "grouped" and channels > 4:
            groups = 3 if channels % 3 == 0 else 2
            made.sums(channels, groups=groups, activation=activation)
        else:
            added = made.steps[-1].result if draw(st.booleans()) else ""
            made.sums(channels, activation=activation, added=added)
    return made


def drawn(examples: int) -> settings:
    return settings(max_examples=examples, deadline=None, derandomize=True)


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


def bottlenecks(seed: int) -> Drawing:
    """Return what MobileFaceNet and MobileNetV2 have, on maps that a tile divides and not."""
    made = Drawing(seed, 16, 12)
    made.sums(64, (3, 3), 2, 1, activation="leaky")
    shortcut = made.steps[-1].result
    made.sums(128, activation="prelu")
    made.sums(128, (3, 3), 1, 1, 128, "leaky")
    made.sums(64, added=shortcut)
    made.sums(96, (3, 3), 2, 1, activation="limits")
    made.sums(96, (4, 3), groups=96)
    return made


def shuffling(seed: int) -> Drawing:
    """Return what ShuffleNet has."""
    made = Drawing(seed, 15, 14)
    made.sums(24, (3, 3), 1, 1)
    made.pool("max", 3, 2, 1)
    shortcut = made.steps[-1].result
    made.sums(60, activation="limits")
    made.shuffle(3)
    made.sums(60, (3, 3), 1, 1, 60)
    made.sums(72, groups=3, activation="leaky")
    made.join(shortcut, made.steps[-1].result)
    made.sums(180, groups=3)
    made.shuffle(3)
    made.pool("mean", 3, 2, 1)
    return made


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
    with pytest.raises(RefusedError, match="avx2, fma, and .* cortex-a53 has no .*: use fp32"):
        build.compile_integers(tmp_path, TARGETS["cortex-a53"], 1)
    with pytest.raises(RefusedError, match="tvm computes in int8 on CPUs that have avx2, fma"):
        RUNTIMES["tvm"].require("int8", "cortex-a53")


@executed
def test_channels_that_four_does_not_divide_are_refused(tmp_path: Path, cache_folder: Path) -> None:
    made = Drawing(0, 7, 7)
    made.sums(6)
    made.network().save(tmp_path)
    with pytest.raises(RefusedError, match="that four divides, and map1 has 3 to 6 a group"):
        build.compile_integers(tmp_path, TARGETS["host"], 1)
