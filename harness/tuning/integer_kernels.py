"""Kernels of integers, as a search needs them: held to numpy's bits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from tvm import tirx

from facebench.harness.compiler.integers import convolution, depthwise
from facebench.harness.compiler.integers import tiling as tilings
from facebench.harness.compiler.integers.convolution import IntegerTiling
from facebench.harness.compiler.integers.instructions import lanes_of
from facebench.harness.compiler.integers.operands import Zeros, constants
from facebench.harness.compiler.tiling import Tiling
from facebench.harness.compiler.vectors import ByteVectors
from facebench.harness.compiler.workload import Convolution, Depthwise, Workload
from facebench.harness.models.integer_network import reference
from facebench.harness.models.integer_network.network import (
    LARGEST_FOUR,
    LARGEST_SUM,
    IntegerMap,
    IntegerNetwork,
    SumsStep,
    alternate,
)
from facebench.harness.tuning.kernels import Array

_SEED = 0

# Products that kernels of "short" steps can hold, beside the zero of a map.
_SHORT = np.iinfo(np.int16).max - 256


@dataclass(frozen=True, eq=False)
class IntegerOperands:
    """It is one step of a network of integers, and the maps that it reads.

    Attributes:
        network: of which it is the only step.
        input: (N, H, W, C), as bytes lie in memory.
        added: likewise, of the output's shape; None where no map is added.
    """

    network: IntegerNetwork
    input: Array
    added: Array | None

    @property
    def step(self) -> SumsStep:
        """Return the step."""
        (step,) = self.network.steps
        assert isinstance(step, SumsStep)
        return step

    @property
    def maps(self) -> tuple[Array, ...]:
        """Return the input, and the map that is added."""
        return (self.input,) if self.added is None else (self.input, self.added)


@dataclass(frozen=True)
class IntegerKernels:
    """It is `kernels.SearchedKernels` of integers, maps (N, H, W, C)."""

    registers: ByteVectors
    tolerance: float = 0.0

    def tilings(self, work: Workload) -> list[Tiling]:
        """See `SearchedKernels`."""
        chosen, *others = tilings.candidates(work, self.registers)
        assert isinstance(work, Convolution | Depthwise)
        return [chosen, *sorted(others, key=lambda one: tilings.cost(work, one, self.registers))]

    def function(self, work: Workload, tiling: Tiling) -> tirx.PrimFunc:
        """See `SearchedKernels`."""
        assert isinstance(tiling, IntegerTiling)
        if isinstance(work, Depthwise):
            return depthwise.emit_depthwise(work, tiling, self.registers)
        assert isinstance(work, Convolution)
        return convolution.emit_convolution(work, tiling, self.registers)

    def random(self, work: Workload) -> IntegerOperands:
        """See `SearchedKernels`."""
        return _drawn(work, self.registers, np.random.default_rng(_SEED))

    def extreme(self, work: Workload) -> Iterator[tuple[str, IntegerOperands]]:
        """See `SearchedKernels`: bytes of one value, the largest weights, products of all sizes."""
        for number, (word, byte, weight, size) in enumerate([
            ("lowest", 0, 127, 1.0),
            ("highest", 255, 127, 1.0),
            ("highest and lowest", 255, -127, 100.0),
            ("zero", None, 0, 1.0),
            ("saturating", None, None, 100.0),
            ("vanishing", None, None, 1e-6),
        ]):  # fmt: skip
            generator = np.random.default_rng(number)
            yield word, _drawn(work, self.registers, generator, byte, weight, size)

    def arguments(self, work: Workload, tiling: Tiling, given: IntegerOperands) -> list[Array]:
        """See `SearchedKernels`."""
        assert isinstance(tiling, IntegerTiling)
        assert isinstance(work, Convolution | Depthwise)
        maps, step = given.network.maps, given.step
        zeros = Zeros(
            maps[step.source].zero,
            0 if step.real else maps[step.result].zero,
            maps[step.added].zero if step.added else 0,
        )
        before, behind = constants(step, work, tiling, self.registers, zeros)
        return [given.maps[0], *before, *given.maps[1:], *behind]

    def output(self, work: Workload) -> Array:
        """See `SearchedKernels`."""
        kind = "float32" if "real" in work.epilogue else lanes_of(self.registers).kind
        return np.zeros((work.batch, *work.output, _filters(work)), kind)

    def defined(self, work: Workload, given: Sequence[IntegerOperands]) -> list[Array]:
        """See `SearchedKernels`."""
        return [self._defined(one) for one in given]

    def _defined(self, given: IntegerOperands) -> Array:
        origin, step = lanes_of(self.registers).origin, given.step
        found = {
            name: np.float32(origin) + one.transpose(0, 3, 1, 2).astype(np.float32)
            for name, one in zip((step.source, step.added), given.maps, strict=False)
        }
        sums = reference.summed(given.network, step, found).transpose(0, 2, 3, 1)
        if step.real:
            return sums
        return (sums - origin).astype(lanes_of(self.registers).kind)

    def scales(
        self, work: Workload, tiling: Tiling, given: Sequence[IntegerOperands]
    ) -> list[float]:
        """See `SearchedKernels`."""
        return [0.0] * len(given)

    def error(self, answer: Array, right: Array, scale: float) -> float:
        """See `SearchedKernels`."""
        return 0.0 if np.array_equal(answer, right) else np.inf


def _filters(work: Workload) -> int:
    return work.filters if isinstance(work, Convolution) else work.channels


def _drawn(
    work: Workload,
    registers: ByteVectors,
    generator: np.random.Generator,
    byte: int | None = None,
    weight: int | None = None,
    size: float = 1.0,
) -> IntegerOperands:
    """Return operands whose results fill their range, times a size.

    Args:
        byte: all of the map that is read; None for any.
        weight: all weights; None for any.
    """
    groups = work.groups if isinstance(work, Convolution) else work.channels
    filters, window, steps = _filters(work), work.window, set(work.epilogue)
    shape = (filters, work.channels // groups, *window.kernel)
    taps = int(np.prod(shape[1:]))
    # Whatever the bytes are, no sum exceeds what a network's can.
    most = min(127, (LARGEST_SUM // 4) // (255 * taps))
    weights = generator.integers(-most, most + 1, shape)
    if weight is not None:
        weights = np.full(shape, np.clip(weight, -most, most))
        weights[:, np.arange(shape[1]) % 8 > 3] = 0  # of four at most two are the largest
    # Smaller where four of them would have more than a network's.
    share = np.maximum(1, alternate(weights, groups) / LARGEST_FOUR)
    weights = np.trunc(weights / share[:, None, None, None]).astype(np.int64)
    spread = 100 * most * np.sqrt(taps)
    bias = generator.integers(-int(spread), int(spread) + 1, filters)
    reach = 255 * np.abs(weights).sum(axis=(1, 2, 3)) + np.abs(bias) + 255 * spread / 100 + 1
    limit = _SHORT if "short" in steps else 1 << 21
    multipliers = np.minimum(
        generator.uniform(0.5, 1.5, filters) * size * 70 / spread, limit / reach
    )
    slopes = generator.uniform(-1.0, 1.0, filters) if {"prelu", "leaky"} & steps else 1.0
    maps, zeros = {}, generator.integers(0, 256, 3)
    if "short" in steps:
        zeros[-1] &= ~1  # so that products may be halfway between integers
    extents = {"source": (work.channels, *work.input), "added": (filters, *work.output)}
    extents["result"] = (filters, *work.output)
    for name, zero in zip(extents, zeros, strict=True):
        maps[name] = IntegerMap(extents[name], 1.0, int(zero))
    added = "added" if "add" in steps else ""
    scale = np.full(filters * bool(added), spread / 100, np.float32)
    step = SumsStep(
        "source", "result", weights.astype(np.int8), bias.astype(np.int32),
        multipliers.astype(np.float32), (multipliers * slopes).astype(np.float32),
        window.stride, window.padding, window.dilation, groups, added, scale,
        limits=(int(maps["result"].zero) // 2, 200) if "limits" in steps else (0, 255),
        real="real" in steps,
    )  # fmt: skip
    lanes = lanes_of(registers)

    def bytes_of(name: str, value: int | None) -> Array:
        channels, height, width = extents[name]
        numbers = generator.integers(0, 256, (work.batch, height, width, channels))
        held = numbers if value is None else np.full_like(numbers, value)
        return np.ascontiguousarray((held - lanes.origin).astype(lanes.kind))

    network = IntegerNetwork(maps, (step,))
    more = bytes_of("added", None) if added else None
    return IntegerOperands(network, bytes_of("source", byte), more)
