"""Puts a network of real numbers into integers, by the ranges that calibration found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from facebench.architectures.errors import RefusedError
from facebench.harness.models.ends import ends_of
from facebench.harness.models.export import Exported
from facebench.harness.models.integer_network.calibrating import (
    Range,
    image_range,
    range_between,
    trimmed,
)
from facebench.harness.models.integer_network.equalizing import equalized
from facebench.harness.models.integer_network.network import (
    FRACTION,
    LARGEST_FOUR,
    LARGEST_PRODUCT,
    LARGEST_SUM,
    ImageStep,
    IntegerMap,
    IntegerNetwork,
    JoinStep,
    PairStep,
    PoolStep,
    ShuffleStep,
    SliceStep,
    Step,
    SumsStep,
    TableStep,
    alternate,
)
from facebench.harness.models.integer_network.reading import real_steps
from facebench.harness.models.integer_network.steps import (
    RealFunction,
    RealJoin,
    RealPair,
    RealPool,
    RealShuffle,
    RealSlice,
    RealStep,
    RealSums,
    reach,
    sources,
)
from facebench.harness.models.onnx_cost.graph import OnnxGraph, read
from facebench.harness.models.onnx_network.plain import computes_shapes, plain
from facebench.harness.models.onnx_network.shifts import with_convolutions
from facebench.harness.stats.arrays import FloatArray

# Of weights, which are symmetric about zero.
_LARGEST_WEIGHT = 127


def integer_network(exported: Exported, images: FloatArray) -> IntegerNetwork:
    """Return a network in integers.

    Args:
        exported: the network in single precision.
        images: (N, 3, H, W), which set the ranges of its activations.

    Raises:
        RefusedError: an operator has no form in integers.
    """
    facts = exported.facts()
    stored = facts["preprocessing"]
    ends = np.subtract([[0], [255]], stored["mean"]) / stored["scale"]
    pixels = float(ends.min()), float(ends.max())
    return of_model(facts["name"], onnx.load(exported.onnx), images, pixels)


def of_model(
    name: str, model: onnx.ModelProto, images: FloatArray, pixels: tuple[float, float]
) -> IntegerNetwork:
    """Return an ONNX model, called `name`, in integers; see `integer_network`.

    Args:
        name: of the network, for what is refused.
        model: its graph.
        images: (N, 3, H, W), which set the ranges of its activations.
        pixels: what the lowest and the highest pixel become in an image.
    """
    model = with_convolutions(plain(model, 1) if computes_shapes(model) else model)
    graph = read(model, (1, *images.shape[1:]))
    steps = real_steps(name, graph)  # refuses before ranges are looked for, which takes a while
    wanted = [step.result for step in steps[:-1] if _has_range(step)]
    ends = ends_of(model, wanted, images)
    found = {value: range_between(one.lowest, one.highest) for value, one in ends.items()}
    found[graph.image] = image_range(*pixels)
    return quantized(name, graph, equalized(steps, found, ends), found)


def _has_range(step: RealStep) -> bool:
    """Say whether a range has to be found of what a step gives."""
    if isinstance(step, RealPair):
        return step.kind == "product"
    if isinstance(step, RealPool):
        return step.kind == "mean"
    return isinstance(step, RealSums | RealJoin | RealFunction)


def quantized(
    name: str, graph: OnnxGraph, steps: list[RealStep], found: dict[str, Range]
) -> IntegerNetwork:
    """Return the network of integers of a graph's steps."""
    quantizing = _Quantizing(name, graph, steps, found)
    quantizing.require_embedding()
    made: list[Step] = [quantizing.image(graph.image)]
    for step in steps:
        made += quantizing.steps(step, last=step is steps[-1])
    return IntegerNetwork(quantizing.maps, tuple(made))


class _Quantizing:
    def __init__(
        self, name: str, graph: OnnxGraph, steps: list[RealStep], found: dict[str, Range]
    ) -> None:
        self._name = name
        self._graph = graph
        self._ranges = found
        # Whatever else reads the image takes its bytes for multiples of a step.
        summed = all(
            isinstance(step, RealSums) and step.added != graph.image
            for step in steps
            if graph.image in sources(step)
        )
        self._shift = found[graph.image].shift * summed
        self.maps: dict[str, IntegerMap] = {}
        # What becomes part of a join and of nothing else has the join's range.
        own = {
            step.result
            for step in steps
            if isinstance(step, RealSums) or (isinstance(step, RealPool) and step.kind == "mean")
        }
        self._joined = {
            source: step
            for step in steps
            if isinstance(step, RealJoin)
            for source in step.sources
            if source in own and graph.readers[source] == 1
        }
        self._functions = {
            step.source: step for step in steps if isinstance(step, RealFunction) and step.alone
        }

    def image(self, name: str) -> ImageStep:
        made = self._map(name)
        limits = (made.scale * (end - made.zero) + self._shift for end in (0, 255))
        low, high = (float(np.float32(limit)) for limit in limits)
        parts = 1 << FRACTION
        middle = made.zero - self._shift / made.scale
        return ImageStep(
            name,
            (low, high),
            float(np.float32(parts / made.scale)),
            round(parts * middle) + parts // 2,
        )

    def steps(self, step: RealStep, last: bool) -> list[Step]:
        """Return a step in integers, and what has to come before it."""
        if isinstance(step, RealJoin):
            return self._join(step)
        if isinstance(step, RealPair):
            return self._pair(step)
        return [self._step(step, last)]

    def _step(
        self, step: RealSums | RealPool | RealShuffle | RealSlice | RealFunction, last: bool
    ) -> Step:
        if isinstance(step, RealPool):
            return self._pool(step)
        if isinstance(step, RealFunction):
            return self._function(step)
        if isinstance(step, RealSums):
            if last:
                return self._sums(step, 1.0, (0, 255), real=True)
            result = self._map(step.result)
            return self._sums(step, result.scale, self._limits(step.result, step.activation))
        source = self.maps[step.source]
        self._add(step.result, source.scale, source.zero)
        if isinstance(step, RealShuffle):
            return ShuffleStep(step.source, step.result, step.groups)
        return SliceStep(step.source, step.result, step.first)

    def require_embedding(self) -> None:
        """Refuse an output that is no embedding."""
        shape = self._graph.shapes[self._graph.output]
        if any(extent != 1 for extent in shape[2:]):
            raise RefusedError(
                f"{self._name} cannot be computed in integers throughout: its output is a map and "
                "no embedding; use fp32, or another runtime"
            )

    def _limits(self, name: str, activation: str = "") -> tuple[int, int]:
        """Return limits of a map's bytes: those of ReLU too, where that follows a join."""
        result, join = self.maps[name], self._joined.get(name)
        if activation == "relu6":
            return result.zero, min(result.zero + round(6 / result.scale), 255)
        relu = activation == "relu" or (join is not None and join.relu)
        return (result.zero if relu else 0), 255

    def _join(self, step: RealJoin) -> list[Step]:
        made = self._map(step.result)
        limits = (made.zero if step.relu else 0), 255
        before, sources = self._alike(step.sources, step.result, limits)
        return [*before, JoinStep(sources, step.result)]

    def _alike(
        self, sources: Sequence[str], result: str, limits: tuple[int, int] = (0, 255)
    ) -> tuple[list[Step], tuple[str, ...]]:
        """Return steps that give maps the range of a result, and the names of what they give."""
        made, before, names = self.maps[result], list[Step](), list[str]()
        for number, name in enumerate(sources):
            given = self.maps[name]
            if name in self._joined or (
                (given.scale, given.zero) == (made.scale, made.zero) and limits == (0, 255)
            ):
                names.append(name)
                continue
            names.append(f"{result}.{number}")
            self.maps[names[-1]] = IntegerMap(given.shape, made.scale, made.zero)
            multiplier = float(np.float32(given.scale / made.scale))
            before.append(
                PoolStep(name, names[-1], "mean", (1, 1), multiplier=multiplier, limits=limits)
            )
        return before, tuple(names)

    def _pair(self, step: RealPair) -> list[Step]:
        first, second = (self.maps[name] for name in step.sources)
        if step.kind == "product":
            result = self._map(step.result)
            multiplier = float(np.float32(first.scale * second.scale / result.scale))
            _require_products(255 * 255 * multiplier, step.result)
            return [PairStep(step.sources, step.result, step.kind, multiplier)]
        # The larger of both lies in the larger range of both.
        one = max(first, second, key=lambda given: given.scale)
        self._add(step.result, one.scale, one.zero)
        before, (left, right) = self._alike(step.sources, step.result)
        return [*before, PairStep((left, right), step.result, step.kind)]

    def _function(self, step: RealFunction) -> TableStep:
        source, result = self.maps[step.source], self._map(step.result)
        elements = source.scale * (np.arange(256) - source.zero)
        table = np.clip(result.zero + np.rint(step.of(elements) / result.scale), 0, 255)
        return TableStep(step.source, step.result, table.astype(np.uint8))

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
        found = self._ranges[name]
        if (function := self._functions.get(name)) is not None and function.result in self._ranges:
            found = trimmed(found, function.of, self._ranges[function.result].scale / 2)
        return self._add(shape_of, found.scale, found.zero)

    def _add(self, name: str, scale: float, zero: int) -> IntegerMap:
        shape = [*self._graph.shapes[name][1:], 1, 1]
        self.maps[name] = IntegerMap((shape[0], shape[1], shape[2]), scale, zero)
        return self.maps[name]

    def _pool(self, step: RealPool) -> PoolStep:
        source = self.maps[step.source]
        if step.kind == "max":
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
        bias = step.bias / (given * scales)
        if step.source == self._graph.image:
            bias += self._shift / given * weights.sum(axis=(1, 2, 3))
        multipliers = given * scales / result
        return SumsStep(
            step.source,
            "embedding" if real else step.result,
            weights.astype(np.int8),
            np.rint(bias).astype(np.int32),
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

    That is the largest weight over 127; larger where four weights, sums, or products would be
    too large for docs/int8.md, as with a bias that outweighs all weights.
    """
    # In real numbers; rounding adds half a step for each weight.
    reached = reach(step, given, added)
    floors = [
        np.abs(step.weights.astype(np.float64)).max(axis=(1, 2, 3)) / _LARGEST_WEIGHT,
        reached / (given * (LARGEST_SUM / 2)),
        np.full(len(reached), added * 255 / (given * LARGEST_PRODUCT / 2)),
        # Each of the four is rounded by half a step at most.
        alternate(step.weights, step.groups) / (LARGEST_FOUR - 2),
        np.full(len(reached), np.finfo(np.float32).tiny),
    ]
    scales: FloatArray = np.maximum.reduce(floors)
    _require_products((reached * step.steepest).max() / result, step.result)
    return scales


def _require_products(largest: float, result: str) -> None:
    if not largest <= LARGEST_PRODUCT / 2:
        raise RefusedError(
            f"the sums of {result} reach {largest:.0f} steps of its range, more than "
            f"a network of integers can hold ({LARGEST_PRODUCT // 2}): calibrate on other faces, "
            "or use fp32"
        )
