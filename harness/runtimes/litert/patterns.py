"""Finds what LiteRT has one operator for and an exporter wrote as several."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import numpy as np
import numpy.typing as npt

from facebench.harness.models.onnx_cost.graph import OnnxGraph, Operator

Arrays = dict[str, npt.NDArray[np.generic]]

# ReLU6(x + 3) / 6 in ONNX's terms.
_HARD = {"alpha": 1 / 6, "beta": 0.5}


def joined(graph: OnnxGraph, arrays: Arrays) -> OnnxGraph:
    """Return the graph with `Gelu` and `HardSwish` where several operators compute these."""
    found = {}
    for one in graph.operators:
        if one.kind == "Mul":
            for kind, source in (("Gelu", _gelu(graph, arrays, one)),
                                 ("HardSwish", _hard_swish(graph, one))):  # fmt: skip
                if source:
                    found[one.output] = replace(one, kind=kind, inputs=(source,), attributes={})
    operators = [found.get(one.output, one) for one in graph.operators]
    return replace(graph, operators=_needed(operators, graph.output))


def _gelu(graph: OnnxGraph, arrays: Arrays, one: Operator) -> str:
    """Return the x of x / 2 * (1 + erf(x / sqrt(2))), in whatever order; or nothing."""
    product, outside = _peeled(graph, arrays, one.output)
    maker = graph.makers.get(product)
    if maker is None or maker.kind != "Mul":
        return ""
    (left, before), (right, behind) = (_peeled(graph, arrays, name) for name in maker.inputs)
    for source, other in ((left, right), (right, left)):
        inside, scale = _in_erf(graph, arrays, other)
        if inside == source and np.allclose([outside * before * behind, scale], [0.5, sqrt(0.5)]):
            return source
    return ""


def _in_erf(graph: OnnxGraph, arrays: Arrays, name: str) -> tuple[str, float]:
    """Return the x and the s of 1 + erf(s * x); or nothing."""
    total = graph.makers.get(name)
    if total is not None and total.kind == "Add":
        for term, one in (total.inputs, total.inputs[::-1]):
            erf = graph.makers.get(term)
            if erf is not None and erf.kind == "Erf" and _number(arrays, one) == 1:
                return _peeled(graph, arrays, erf.inputs[0])
    return "", 0.0


def _hard_swish(graph: OnnxGraph, one: Operator) -> str:
    """Return the x of x * ReLU6(x + 3) / 6; or nothing."""
    for source, other in (one.inputs, one.inputs[::-1]):
        gate = graph.makers.get(other)
        if gate is not None and gate.kind == "HardSigmoid" and gate.inputs == (source,):
            given = {"alpha": 0.2, "beta": 0.5} | gate.attributes
            if all(np.isclose(given[word], value) for word, value in _HARD.items()):
                return source
    return ""


def _peeled(graph: OnnxGraph, arrays: Arrays, name: str) -> tuple[str, float]:
    """Return the value that another is a number of times of, and the number."""
    maker, factor = graph.makers.get(name), 1.0
    while maker is not None and maker.kind in ("Mul", "Div"):
        left, right = maker.inputs
        if maker.kind == "Mul" and _number(arrays, right) is None:
            left, right = right, left
        number = _number(arrays, right)
        if number is None:
            break
        name, factor = left, factor * (number if maker.kind == "Mul" else 1 / number)
        maker = graph.makers.get(name)
    return name, factor


def _number(arrays: Arrays, name: str) -> float | None:
    array = arrays.get(name)
    return float(array.flat[0]) if array is not None and array.size == 1 else None


def _needed(operators: list[Operator], output: str) -> list[Operator]:
    needed, kept = {output}, []
    for one in reversed(operators):
        if needed.intersection(one.outputs):
            needed.update(one.inputs)
            kept.append(one)
    return kept[::-1]
