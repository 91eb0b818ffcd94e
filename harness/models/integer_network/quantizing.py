"""Puts a network of real numbers into integers, by the ranges that calibration found."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from facebench.architectures.errors import RefusedError
from facebench.harness.models import quantize
from facebench.harness.models.export import Exported
from facebench.harness.models.integer_network.network import (
    LARGEST_PRODUCT,
    LARGEST_SUM,
    ImageStep,
    IntegerMap,
    IntegerNetwork,
    JoinStep,
    PoolStep,
    ShuffleStep,
    Step,
    SumsStep,
)
from facebench.harness.models.integer_network.reading import (
    RealJoin,
    RealPool,
    RealShuffle,
    RealStep,
    RealSums,
    real_steps,
)
from facebench.harness.models.onnx_cost.graph import OnnxGraph, read
from facebench.harness.stats.arrays import FloatArray

# Of weights, which are symmetric about zero.
_LARGEST_WEIGHT = 127


@dataclass(frozen=True)
class Range:
    """It says which real numbers 0 to 255 stand for: scale * (q - zero)."""

    scale: float
    zero: int


def integer_network(exported: Exported, images: FloatArray) -> IntegerNetwork:
    """Return a network in integers.

    Args:
        exported: the network in single precision.
        images: (N, 3, H, W), which set the ranges of its activations.

    Raises:
        RefusedError: an operator has no form in integers.
    """
    name = exported.facts()["name"]
    graph = read(onnx.load(exported.onnx), (1, *images.shape[1:]))
    steps = real_steps(name, graph)  # refuses before ranges are looked for, which takes a while
    return quantized(name, graph, steps, ranges(name, exported.onnx, images))


def ranges(name: str, path: Path, images: FloatArray) -> dict[str, Range]:
    """Return the ranges that `quantize.quantize` gives the values of an ONNX file, by name.

    Images are (N, 3, H, W).
    """
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary) / "quantized.onnx"
        quantize.quantize(name, path, made, images)
        return ranges_of(onnx.load(made))


def ranges_of(model: onnx.ModelProto) -> dict[str, Range]:
    """Return the ranges in a quantized (QDQ) graph, by the names of values."""
    tables = {one.name: one for one in model.graph.initializer}

    def number(name: str) -> float:
        return float(numpy_helper.to_array(tables[name]).reshape(-1)[0])

    return {
        node.input[0]: Range(number(node.input[1]), int(number(node.input[2])))
        for node in model.graph.node
        if node.op_type == "QuantizeLinear"
    }


def quantized(
    name: str, graph: OnnxGraph, steps: list[RealStep], found: dict[str, Range]
) -> IntegerNetwork:
    """Return the network of integers of a graph's steps."""
    quantizing = _Quantizing(name, graph, steps, found)
    quantizing.require_embedding(steps[-1])
    made: list[Step] = [quantizing.image(graph.image)]
    made += [quantizing.step(step, last=step is steps[-1]) for step in steps]
    return IntegerNetwork(quantizing.maps, tuple(made))


class _Quantizing:
    def __init__(
        self, name: str, graph: OnnxGraph, steps: list[RealStep], found: dict[str, Range]
    ) -> None:
        self._name = name
        self._graph = graph
        self._ranges = found
        self.maps: dict[str, IntegerMap] = {}
        joins = [step for step in steps if isinstance(step, RealJoin)]
        self._joined = {source: step for step in joins for source in step.sources}

    def image(self, name: str) -> ImageStep:
        made = self._map(name)
        limits = (made.scale * (0 - made.zero), made.scale * (255 - made.zero))
        low, high = (float(np.float32(limit)) for limit in limits)
        return ImageStep(name, (low, high), float(np.float32(1 / made.scale)))

    def step(self, step: RealStep, last: bool) -> Step:
        if isinstance(step, RealPool):
            return self._pool(step)
        if isinstance(step, RealShuffle):
            source = self.maps[step.source]
            self._add(step.result, source.scale, source.zero)
            return ShuffleStep(step.source, step.result, step.groups)
        if isinstance(step, RealJoin):
            return self._join(step)
        if last:
            return self._sums(step, 1.0, (0, 255), real=True)
        result = self._map(step.result)
        return self._sums(step, result.scale, self._limits(step.result, step.activation))

    def require_embedding(self, step: RealStep) -> None:
        """Refuse a last step that gives no embedding."""
        shape = self._graph.shapes[step.result]
        real = isinstance(step, RealSums) and not step.activation
        if not real or any(extent != 1 for extent in shape[2:]):
            raise RefusedError(
                f"{self._name} cannot be computed in integers throughout: its embedding is not "
                "what a product or a convolution gives; use fp32, or another runtime"
            )

    def _limits(self, name: str, activation: str = "") -> tuple[int, int]:
        """Return limits of a map's bytes: those of ReLU too, where that follows a join."""
        result, join = self.maps[name], self._joined.get(name)
        if activation == "relu6":
            return result.zero, min(result.zero + round(6 / result.scale), 255)
        relu = activation == "relu" or (join is not None and join.relu)
        return (result.zero if relu else 0), 255

    def _join(self, step: RealJoin) -> JoinStep:
        made = self._map(step.result)
        if any(
            (self.maps[name].scale, self.maps[name].zero) != (made.scale, made.zero)
            or self._graph.readers[name] > 1
            for name in step.sources
        ):
            raise RefusedError(
                f"{self._name} cannot be computed in integers throughout: what becomes part of "
                f"{step.result} is read elsewhere too, or has another range; use fp32, or another "
                "runtime"
            )
        return JoinStep(step.sources, step.result)

    def _map(self, name: str) -> IntegerMap:
        """Add the map of a value, with its range: that of what it becomes part of."""
        shape_of = name
        if name in self._joined:
            name = self._joined[name].result
        if name not in self._ranges:
            raise RefusedError(
                f"{self._name} cannot be computed in integers throughout: calibration found no "
                f"range of its value {name}; use fp32, or another runtime"
            )
        return self._add(shape_of, self._ranges[name].scale, self._ranges[name].zero)

    def _add(self, name: str, scale: float, zero: int) -> IntegerMap:
        shape = [*self._graph.shapes[name][1:], 1, 1]
        self.maps[name] = IntegerMap((shape[0], shape[1], shape[2]), scale, zero)
        return self.maps[name]

    def _pool(self, step: RealPool) -> PoolStep:
        source = self.maps[step.source]
        unknown = step.result not in self._ranges and step.result not in self._joined
        same = step.kind == "max" or unknown
        if same:
            result = self._add(step.result, source.scale, source.zero)
        else:
            result = self._map(step.result)
        taps = step.kernel[0] * step.kernel[1]
        multiplier = float(np.float32(source.scale / (taps * result.scale)))
        return PoolStep(
            step.source,
            step.result,
            step.kind,
            step.kernel,
            step.stride,
            step.padding,
            1.0 if step.kind == "max" else multiplier,
            self._limits(step.result),
        )

    def _sums(
        self, step: RealSums, result: float, limits: tuple[int, int], real: bool = False
    ) -> SumsStep:
        given = self.maps[step.source].scale
        added = self.maps[step.added].scale if step.added else 0.0
        slopes = _slopes(step)
        scales = _weight_scales(step, given, result, added)
        weights = np.rint(step.weights.astype(np.float64) / scales[:, None, None, None])
        multipliers = given * scales / result
        return SumsStep(
            step.source,
            "embedding" if real else step.result,
            weights.astype(np.int8),
            np.rint(step.bias / (given * scales)).astype(np.int32),
            multipliers.astype(np.float32),
            (multipliers * slopes).astype(np.float32),
            step.stride,
            step.padding,
            step.dilation,
            step.groups,
            step.added,
            (added / (given * scales)).astype(np.float32)[: len(scales) * bool(step.added)],
            limits,
            real,
        )


def _slopes(step: RealSums) -> FloatArray:
    if step.slopes is None:
        return np.ones(len(step.bias), np.float64)
    return step.slopes.astype(np.float64)


def _weight_scales(step: RealSums, given: float, result: float, added: float) -> FloatArray:
    """Return the scale of each filter's weights, (F,).

    That is the largest weight over 127; larger where sums or products would be too large for
    docs/int8.md, as with a bias that outweighs all weights.
    """
    flat = np.abs(step.weights.astype(np.float64)).reshape(len(step.weights), -1)
    steepest = np.maximum(1, np.abs(_slopes(step)))
    # What a sum can reach, in real numbers; rounding adds half a step for each weight.
    reach = given * 255 * flat.sum(axis=1) + np.abs(step.bias) + added * 255
    floors = [
        flat.max(axis=1) / _LARGEST_WEIGHT,
        reach / (given * (LARGEST_SUM / 2)),
        np.full(len(flat), added * 255 / (given * LARGEST_PRODUCT / 2)),
        np.full(len(flat), np.finfo(np.float32).tiny),
    ]
    scales: FloatArray = np.maximum.reduce(floors)
    products = reach / result * steepest
    if not np.isfinite(products).all() or (products > LARGEST_PRODUCT / 2).any():
        raise RefusedError(
            f"the sums of {step.result} reach {products.max():.0f} steps of its range, more than "
            f"a network of integers can hold ({LARGEST_PRODUCT // 2}): calibrate on other faces, "
            "or use fp32"
        )
    return scales
