"""Finds functions of one map's elements in a graph, whatever operators they are written with.

HardSwish is one operator, x * sigmoid(x) two, and GELU five: in integers each is a table of 256.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from onnx import numpy_helper

from facebench.harness.models.onnx_cost.graph import OnnxGraph, Operator
from facebench.harness.stats.arrays import FloatArray

_Function = Callable[..., FloatArray]


def _clip(x: FloatArray, low: Any = None, high: Any = None, **limits: float) -> FloatArray:
    low, high = (limits.get(name, one) for name, one in (("min", low), ("max", high)))
    cut: FloatArray = np.clip(x, -np.inf if low is None else low, np.inf if high is None else high)
    return cut


def _hard_sigmoid(x: FloatArray, alpha: float = 0.2, beta: float = 0.5) -> FloatArray:
    cut: FloatArray = np.clip(alpha * x + beta, 0, 1)
    return cut


def _elu(x: FloatArray, alpha: float = 1.0) -> FloatArray:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


# By ONNX's names, in double precision; attributes are keywords.
_OPERATORS: dict[str, _Function] = {
    "Abs": np.abs,
    "Add": np.add,
    "Clip": _clip,
    "Div": np.divide,
    "Elu": _elu,
    "Erf": np.vectorize(math.erf, otypes=[np.float64]),
    "Exp": np.exp,
    "Gelu": lambda x, **_: x / 2 * (1 + np.vectorize(math.erf, otypes=[np.float64])(x / 2**0.5)),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": lambda x: x * _hard_sigmoid(x, 1 / 6),
    "LeakyRelu": lambda x, alpha=0.01: np.where(x > 0, x, alpha * x),
    "Max": np.maximum,
    "Min": np.minimum,
    "Mul": np.multiply,
    "Neg": np.negative,
    "PRelu": lambda x, slope: np.where(x > 0, x, slope * x),
    "Pow": np.power,
    "Reciprocal": lambda x: 1 / x,
    "Relu": lambda x: np.maximum(x, 0),
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "Softplus": lambda x: np.logaddexp(x, 0),
    "Sqrt": np.sqrt,
    "Sub": np.subtract,
    "Tanh": np.tanh,
}


class Elementwise:
    """It is the longest function of one map that begins with an operator.

    Attributes:
        source: name of the map.
        members: its operators; all but the last give what no other reads.
    """

    def __init__(self, graph: OnnxGraph, source: str, members: list[Operator]) -> None:
        self._graph = graph
        self.source = source
        self.members = members

    @property
    def result(self) -> str:
        """Return the name of what its last operator gives."""
        return self.members[-1].output

    @property
    def alone(self) -> bool:
        """Say whether nothing else reads the source."""
        inside = sum(one.inputs.count(self.source) for one in self.members)
        return self._graph.readers[self.source] == inside

    def __call__(self, elements: FloatArray) -> FloatArray:
        """Return the function of elements, of any shape, in double precision."""
        values: dict[str, Any] = {self.source: elements.astype(np.float64)}
        with np.errstate(all="ignore"):
            for one in self.members:
                given = [self._value(name, values) for name in one.inputs]
                values[one.output] = _OPERATORS[one.kind](*given, **_keywords(one))
        return np.broadcast_to(np.nan_to_num(values[self.result]), elements.shape)

    def _value(self, name: str, values: dict[str, Any]) -> Any:
        if not name:
            return None
        found = values.get(name)
        return _scalar(self._graph, name) if found is None else found


def function_at(graph: OnnxGraph, start: Operator) -> Elementwise | None:
    """Return the longest function of one map's elements that begins with an operator, if any."""
    maps = {name for name in start.inputs if name and _scalar(graph, name) is None}
    if len(maps) != 1:
        return None
    (source,) = maps
    shape = graph.shapes[source]
    known, members, longest = {source}, [], 0
    for one in _from(graph, start):
        own = {name for name in one.inputs if name and _scalar(graph, name) is None}
        if one.kind in _OPERATORS and own and own <= known and graph.shapes[one.output] == shape:
            known.add(one.output)
            members.append(one)
            if _closed(graph, members):
                longest = len(members)
    return Elementwise(graph, source, members[:longest]) if longest else None


def _from(graph: OnnxGraph, start: Operator) -> Iterator[Operator]:
    begun = False
    for one in graph.operators:
        begun = begun or one is start
        if begun:
            yield one


def _closed(graph: OnnxGraph, members: list[Operator]) -> bool:
    """Say whether only these operators read what they give, but for the last one."""
    inside = [name for one in members for name in one.inputs]
    return all(graph.readers[one.output] == inside.count(one.output) for one in members[:-1])


def _scalar(graph: OnnxGraph, name: str) -> float | None:
    table = graph.tables.get(name)
    if table is None:
        return None
    value = numpy_helper.to_array(table)
    return float(value.reshape(-1)[0]) if value.size == 1 else None


def _keywords(one: Operator) -> dict[str, float]:
    return {name: float(value) for name, value in one.attributes.items()
            if isinstance(value, int | float)}  # fmt: skip
