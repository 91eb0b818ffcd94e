"""Reads a network of real numbers as the steps that a network of integers computes.

A convolution or product is one step with what follows it: the addition of a map, then ReLU,
ReLU6 or PReLU.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from onnx import numpy_helper

from facebench.architectures.errors import RefusedError
from facebench.harness.models.integer_network.network import Pair
from facebench.harness.models.onnx_cost.graph import OnnxGraph, Operator
from facebench.harness.stats.arrays import FloatArray


@dataclass(frozen=True, eq=False)
class RealSums:
    """It is a convolution of real numbers with what follows it.

    Attributes:
        source: name of what it reads.
        result: name of what its last operator gives.
        weights: (F, C / groups, KH, KW).
        bias: (F,).
        stride: between windows.
        padding: rows above and columns to the left.
        dilation: between taps.
        groups: of channels.
        added: name of the map that is added; empty for none.
        activation: `relu`, `relu6`, `prelu`, or empty.
        slopes: of a PReLU, (F,).
    """

    source: str
    result: str
    weights: FloatArray
    bias: FloatArray
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    added: str = ""
    activation: str = ""
    slopes: FloatArray | None = None


@dataclass(frozen=True)
class RealPool:
    """It is a pooling of real numbers; the attributes are PoolStep's."""

    source: str
    result: str
    kind: str
    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)


@dataclass(frozen=True)
class RealShuffle:
    """It is a channel shuffle; the attributes are ShuffleStep's."""

    source: str
    result: str
    groups: int


@dataclass(frozen=True)
class RealJoin:
    """It is a concatenation of channels, and a ReLU where `relu` says so."""

    sources: tuple[str, ...]
    result: str
    relu: bool


RealStep = RealSums | RealPool | RealShuffle | RealJoin


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
            step = self._step(one)
            if step is not None:
                made.append(step)
        # What is added may be made after the convolution that it is added to.
        order = {one.output: place for place, one in enumerate(self._graph.operators)}
        return sorted(made, key=lambda step: order[step.result])

    def _step(self, one: Operator) -> RealStep | None:
        if one.kind in ("Conv", "Gemm", "MatMul") and self._is_plain(one):
            return self._extended(self._sums(one))
        if one.kind in ("Flatten", "Reshape", "Squeeze"):
            # What follows reads the map itself, which has one pixel or is multiplied whole.
            if self._is_row(one):
                self._alias[one.output] = self._source(one.inputs[0])
                return None
            if (shuffle := self._shuffle(one)) is not None:
                return shuffle
        elif self._is_plain(one) and (other := self._pool(one) or self._join(one)) is not None:
            return other
        raise RefusedError(
            f"{self._name} cannot be computed in integers throughout: its operator {one.kind} "
            f"({one.name}) has none; use fp32, or another runtime"
        )

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
        return self._with_added(step, user) if user.kind == "Add" else None

    def _with_added(self, step: RealSums, user: Operator) -> RealSums | None:
        other = next((name for name in user.inputs if name != step.result), "")
        if self._array(other) is not None:  # a bias by itself
            value = self._per_channel(other, step)
            if value is None or step.added:
                return None
            return replace(step, bias=step.bias + value)
        shapes = self._graph.shapes
        if not other or step.added or shapes[other] != shapes[user.output]:
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
        if one.kind != "Concat" or one.attributes.get("axis") != 1:
            return None
        sources = tuple(self._source(name) for name in one.inputs)
        user = self._read_by.get(one.output)
        if user is None or user.kind != "Relu":
            return RealJoin(sources, one.output, relu=False)
        self._taken.add(user.output)
        return RealJoin(sources, user.output, relu=True)

    def _pool(self, one: Operator) -> RealPool | None:
        shape = self._graph.shapes[one.inputs[0]]
        if len(shape) != 4:
            return None
        whole = _pair(shape[2:])
        source, attributes = self._source(one.inputs[0]), one.attributes
        if one.kind == "GlobalAveragePool":
            return RealPool(source, one.output, "mean", whole)
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


def _pair(values: Any) -> Pair:
    first, second = (int(value) for value in values)
    return first, second
