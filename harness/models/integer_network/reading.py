"""Reads a network of real numbers as the steps that a network of integers computes.

A convolution or product is one step with what follows it: the addition of a map, then ReLU,
ReLU6 or PReLU. Where such an addition, activation or scale for each channel follows something
else, it follows sums that give the map as it is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from onnx import numpy_helper

from facebench.architectures.errors import RefusedError
from facebench.harness.models.integer_network.functions import function_at
from facebench.harness.models.integer_network.network import Pair
from facebench.harness.models.integer_network.steps import (
    RealFunction,
    RealJoin,
    RealPair,
    RealPool,
    RealShuffle,
    RealSlice,
    RealStep,
    RealSums,
    passed_on,
)
from facebench.harness.models.onnx_cost.graph import OnnxGraph, Operator
from facebench.harness.stats.arrays import FloatArray


def real_steps(name: str, graph: OnnxGraph) -> list[RealStep]:
    """Return the steps of a network's graph, in order.

    Raises:
        RefusedError: it has an operator that is none of these; the message names it.
    """
    return _RealReading(name, graph).steps()


class _RealReading:
    def __init__(self, name: str, graph: OnnxGraph) -> None:
        self._name = name
        self._graph = graph
        self._alias: dict[str, str] = {}
        self._taken: set[str] = set()
        self._read_by = {
            value: one for one in graph.operators for value in one.inputs
            if graph.readers[value] == 1
        }  # fmt: skip

    def steps(self) -> list[RealStep]:
        made: list[RealStep] = []
        for one in self._graph.operators:
            if one.output in self._taken:
                continue
            made += self._steps(one)
        # What is added may be made after the convolution that it is added to.
        order = {
            name: place for place, one in enumerate(self._graph.operators) for name in one.outputs
        }
        return self._ended(sorted(made, key=lambda step: order[step.result]))

    def _ended(self, steps: list[RealStep]) -> list[RealStep]:
        """Return steps whose last one gives sums, which are not rounded."""
        last = steps[-1]
        if isinstance(last, RealSums) and not last.activation:
            return steps
        channels = self._graph.shapes[last.result][1]
        weights = np.eye(channels, dtype=np.float32)[:, :, None, None]
        bias = np.zeros(channels, np.float32)
        return [*steps, RealSums(last.result, f"{last.result}.real", weights, bias)]

    def _steps(self, one: Operator) -> list[RealStep]:
        if one.kind in ("Conv", "Gemm", "MatMul") and self._is_plain(one):
            return [self._extended(self._sums(one))]
        if one.kind in ("Flatten", "Reshape", "Squeeze") and self._is_row(one):
            # What follows reads the map itself, which has one pixel or is multiplied whole.
            self._alias[one.output] = self._source(one.inputs[0])
            return []
        if one.kind in ("Slice", "Split"):
            found: list[RealStep] | None = self._slices(one)
            if found is not None:
                return found
        elif one.kind in ("Reshape", "Squeeze"):
            if (shuffle := self._shuffle(one)) is not None:
                return [shuffle]
        elif (other := self._pool(one) or self._join(one) or self._of_elements(one)) is not None:
            return [other]
        raise RefusedError(
            f"{self._name} cannot be computed in integers throughout: its operator {one.kind} "
            f"({one.name}) has none; use fp32, or another runtime"
        )

    def _of_elements(self, one: Operator) -> RealStep | None:
        """Return what works on each element by itself."""
        found = function_at(self._graph, one)
        if found is not None:
            self._taken |= {member.output for member in found.members}
            return RealFunction(self._source(found.source), found.result, found, found.alone)
        maps = [name for name in one.inputs if name and self._array(name) is None]
        if one.kind in ("Mul", "Max") and len(maps) == 2:
            return self._pair(one)
        if not maps or len(self._graph.shapes[maps[0]]) not in (2, 4):
            return None
        channels = self._graph.shapes[maps[0]][1]
        longer = self._with(passed_on(self._source(maps[0]), maps[0], channels), one)
        if longer is None:
            return None
        self._taken.add(one.output)
        return self._extended(replace(longer, result=one.output))

    def _pair(self, one: Operator) -> RealPair | None:
        shapes = self._graph.shapes
        first, second = sorted(one.inputs, key=lambda name: shapes[name] != shapes[one.output])
        pixel = (*shapes[one.output][:2], *(1 for _ in shapes[one.output][2:]))
        same = shapes[first] == shapes[one.output]
        allowed = (shapes[first], pixel) if one.kind == "Mul" else (shapes[first],)
        if not same or shapes[second] not in allowed:
            return None
        kind = "product" if one.kind == "Mul" else "max"
        return RealPair((self._source(first), self._source(second)), one.output, kind)

    def _slices(self, one: Operator) -> list[RealStep] | None:
        """Return the parts of a map's channels that an operator gives."""
        shapes, source = self._graph.shapes, one.inputs[0]
        rank = len(shapes[source])
        row = rank == 2 and all(extent == 1 for extent in shapes[self._source(source)][2:])
        if rank != 4 and not row:
            return None
        if one.kind == "Split":
            if one.attributes.get("axis", 0) != 1:
                return None
            counts = [shapes[name][1] for name in one.outputs]
            firsts = [sum(counts[:i]) for i in range(len(counts))]
        else:
            found = [self._array(name) for name in one.inputs[1:]]
            if len(found) < 3 or any(array is None or array.size != 1 for array in found):
                return None
            first, _, axis, *step = (int(array[0]) for array in found if array is not None)
            if axis != 1 or step not in ([], [1]):
                return None
            firsts = [first % shapes[source][1]]
        if shapes[one.output] == shapes[source]:
            self._alias[one.output] = self._source(source)
            return []
        parts = zip(one.outputs, firsts, strict=True)
        return [RealSlice(self._source(source), name, first) for name, first in parts]

    def _is_plain(self, one: Operator) -> bool:
        """Say whether it says its padding, and is on maps, or for a product on rows."""
        rank = len(self._graph.shapes[one.inputs[0]])
        padded = one.attributes.get("auto_pad", b"NOTSET") in (b"NOTSET", "NOTSET")
        turned = bool(one.attributes.get("transA"))
        return rank == (2 if one.kind in ("Gemm", "MatMul") else 4) and padded and not turned

    def _source(self, name: str) -> str:
        return self._alias.get(name, name)

    def _is_row(self, one: Operator) -> bool:
        given, made = (self._graph.shapes[name] for name in (one.inputs[0], one.output))
        return len(made) == 2 and given[0] == made[0]

    def _array(self, name: str) -> FloatArray | None:
        table = self._graph.tables.get(name)
        return None if table is None else np.asarray(numpy_helper.to_array(table), np.float32)

    def _sums(self, one: Operator) -> RealSums:
        weights = self._array(one.inputs[1])
        if weights is None:
            raise RefusedError(
                f"{self._name} cannot be computed in integers throughout: its operator {one.kind} "
                f"({one.name}) multiplies two maps; use fp32, or another runtime"
            )
        bias = self._array(one.inputs[2]) if len(one.inputs) > 2 else None
        source, attributes = self._source(one.inputs[0]), one.attributes
        if one.kind != "Conv":
            return self._product(one, source, weights, bias)
        pads = attributes.get("pads", [0, 0, 0, 0])
        return RealSums(
            source,
            one.output,
            weights,
            np.zeros(len(weights), np.float32) if bias is None else bias,
            _pair(attributes.get("strides", [1, 1])),
            _pair(pads[:2]),
            _pair(attributes.get("dilations", [1, 1])),
            int(attributes.get("group", 1)),
        )

    def _product(
        self, one: Operator, source: str, weights: FloatArray, bias: FloatArray | None
    ) -> RealSums:
        """Return a matrix product as a convolution over the whole map."""
        if not one.attributes.get("transB"):
            weights = weights.T
        weights = weights * np.float32(one.attributes.get("alpha", 1.0))
        _, *shape = self._graph.shapes[source]
        shape = [*shape, 1, 1][:3]
        bias = np.zeros(len(weights), np.float32) if bias is None else bias.ravel()
        bias = bias * np.float32(one.attributes.get("beta", 1.0))
        return RealSums(source, one.output, weights.reshape(-1, *shape), bias)

    def _extended(self, step: RealSums) -> RealSums:
        """Return the step with all that can follow its sums."""
        while True:
            user = self._read_by.get(step.result)
            longer = None if user is None else self._with(step, user)
            if user is None or longer is None:
                return step
            self._taken.add(user.output)
            step = replace(longer, result=user.output)

    def _with(self, step: RealSums, user: Operator) -> RealSums | None:
        if step.activation or user.output in self._taken:
            return None
        if user.kind == "Relu":
            return replace(step, activation="relu")
        if user.kind == "Clip":
            limits = [self._array(name) for name in user.inputs[1:]]
            six = len(limits) == 2 and all(limit is not None for limit in limits)
            return replace(step, activation="relu6") if six and limits == [0, 6] else None
        if user.kind == "PRelu":
            slopes = self._per_channel(user.inputs[1], step)
            return None if slopes is None else replace(step, activation="prelu", slopes=slopes)
        if user.kind == "Add":
            return self._with_added(step, user)
        return self._scaled(step, user)

    def _scaled(self, step: RealSums, user: Operator) -> RealSums | None:
        """Return sums times a constant for each channel, and more by one."""
        if step.added:
            return None
        if user.kind == "BatchNormalization":
            arrays = [self._array(name) for name in user.inputs[1:5]]
            if any(array is None or array.shape != step.bias.shape for array in arrays):
                return None
            scale, bias, mean, variance = (array for array in arrays if array is not None)
            factor = scale / np.sqrt(variance + np.float32(user.attributes.get("epsilon", 1e-5)))
            return _times(step, factor, bias - mean * factor)
        if user.kind not in ("Mul", "Div", "Sub") or user.inputs[0] != step.result:
            return None
        value = self._per_channel(user.inputs[1], step)
        if value is None:
            return None
        if user.kind == "Sub":
            return replace(step, bias=step.bias - value)
        factor = value if user.kind == "Mul" else np.reciprocal(value)
        return _times(step, factor)

    def _with_added(self, step: RealSums, user: Operator) -> RealSums | None:
        other = next((name for name in user.inputs if name != step.result), "")
        if self._array(other) is not None:  # a bias by itself
            value = self._per_channel(other, step)
            if value is None or step.added:
                return None
            return replace(step, bias=step.bias + value)
        shapes = self._graph.shapes
        if not other or step.added:
            return None
        # A map of one channel may be added to all of another, which makes it a larger map.
        if not shapes[other] == shapes[step.result] == shapes[user.output]:
            return None
        return replace(step, added=self._source(other))

    def _per_channel(self, name: str, step: RealSums) -> FloatArray | None:
        """Return a constant that is the same for all pixels of a step's result, (F,)."""
        value = self._array(name)
        shape = (len(step.bias), *(1 for _ in self._graph.shapes[step.result][2:]))
        if value is None or (value.size != 1 and value.shape[-len(shape) :] != shape):
            return None
        whole = value.size in (1, len(step.bias))
        return np.broadcast_to(value.ravel(), step.bias.shape) if whole else None

    def _shuffle(self, one: Operator) -> RealShuffle | None:
        """Return a reshape, a transposition and a reshape that shuffle channels."""
        whole, split = (self._graph.shapes[name] for name in (one.inputs[0], one.output))
        turn = self._read_by.get(one.output)
        back = None if turn is None else self._read_by.get(turn.output)
        if turn is None or back is None or len(whole) != 4 or len(split) not in (4, 5):
            return None
        axes = [0, 2, 1, *range(3, len(split))]
        turned = turn.kind == "Transpose" and list(turn.attributes.get("perm", [])) == axes
        shaped = back.kind == "Reshape" and self._graph.shapes[back.output] == whole
        if not turned or not shaped or split[1] * split[2] != whole[1]:
            return None
        self._taken |= {turn.output, back.output}
        return RealShuffle(self._source(one.inputs[0]), back.output, split[1])

    def _join(self, one: Operator) -> RealJoin | None:
        if (
            len(self._graph.shapes[one.output]) != 4
            or one.kind != "Concat"
            or one.attributes.get("axis") != 1
        ):
            return None
        sources = tuple(self._source(name) for name in one.inputs)
        user = self._read_by.get(one.output)
        if user is None or user.kind != "Relu":
            return RealJoin(sources, one.output, relu=False)
        self._taken.add(user.output)
        return RealJoin(sources, user.output, relu=True)

    def _is_mean_of_map(self, one: Operator) -> bool:
        if one.kind != "ReduceMean":
            return False
        axes = one.attributes.get("axes")
        if axes is None and len(one.inputs) > 1:
            axes = self._graph.tables.get(one.inputs[1])
            axes = None if axes is None else numpy_helper.to_array(axes).tolist()
        return axes is not None and sorted(axis % 4 for axis in axes) == [2, 3]

    def _pool(self, one: Operator) -> RealPool | None:
        shape = self._graph.shapes[one.inputs[0]]
        if len(shape) != 4:
            return None
        whole = _pair(shape[2:])
        source, attributes = self._source(one.inputs[0]), one.attributes
        if one.kind == "GlobalAveragePool" or self._is_mean_of_map(one):
            return RealPool(source, one.output, "mean", whole)
        if one.attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", "NOTSET"):
            return None
        if one.kind not in ("AveragePool", "MaxPool") or attributes.get("ceil_mode", 0):
            return None
        kernel, pads = _pair(attributes["kernel_shape"]), attributes.get("pads", [0, 0, 0, 0])
        stride = _pair(attributes.get("strides", [1, 1]))
        mean = one.kind == "AveragePool"
        if mean and any(pads) and not attributes.get("count_include_pad", 0):
            return None
        if any(step != 1 for step in attributes.get("dilations", [1, 1])):
            return None
        return RealPool(source, one.output, "mean" if mean else "max", kernel, stride,
                        _pair(pads[:2]))  # fmt: skip


def _times(step: RealSums, factor: FloatArray, more: FloatArray | float = 0.0) -> RealSums:
    weights = step.weights * factor[:, None, None, None]
    return replace(step, weights=weights, bias=np.asarray(step.bias * factor + more, np.float32))


def _pair(values: Any) -> Pair:
    first, second = (int(value) for value in values)
    return first, second
