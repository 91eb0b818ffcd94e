"""Leaves out of a graph what an exporter writes of layers that have no such thing.

torch writes a bias of zeros, expanded from one, for each convolution without a bias, and factors
of one for what a function might be scaled by. Its optimizer removes both, where it is run.
"""

from __future__ import annotations

from dataclasses import replace

from onnx import numpy_helper

from facebench.harness.models.onnx_cost.graph import OnnxGraph, Operator, needed

_WITH_BIAS = frozenset({"Conv", "ConvTranspose", "Gemm"})
# What each gives back as it is, beside this number.
_NEUTRAL = {"Mul": 1, "Div": 1, "Add": 0, "Sub": 0}


def without_leftovers(graph: OnnxGraph) -> OnnxGraph:
    """Return the graph without biases of zeros that one number was expanded to, without products
    with one and sums with zero, and without what was only worked out for them.
    """
    alias: dict[str, str] = {}
    kept = []
    for one in graph.operators:
        read = replace(one, inputs=tuple(alias.get(name, name) for name in one.inputs))
        passed = _passed(graph, read)
        if passed is None:
            kept.append(_without_zeros(graph, read))
        else:
            alias[one.output] = passed
    output = alias.get(graph.output, graph.output)
    return replace(graph, output=output, operators=needed(kept, output))


def _passed(graph: OnnxGraph, one: Operator) -> str | None:
    """Return the map that an operator gives back as it is; None where it changes it."""
    if one.kind not in _NEUTRAL or one.output not in graph.mapped:
        return None
    orders = [one.inputs] if one.kind in ("Div", "Sub") else [one.inputs, one.inputs[::-1]]
    for value, number in orders:
        same = graph.shapes[value] == graph.shapes[one.output]
        if same and _number(graph, number) == _NEUTRAL[one.kind]:
            return value
    return None


def _without_zeros(graph: OnnxGraph, one: Operator) -> Operator:
    if one.kind not in _WITH_BIAS or len(one.inputs) < 3:
        return one
    maker = graph.makers.get(one.inputs[2])
    if maker is None or maker.kind != "Expand" or _number(graph, maker.inputs[0]) != 0:
        return one
    return replace(one, inputs=one.inputs[:2])


def _number(graph: OnnxGraph, name: str) -> float | None:
    """Return the one number of a table; None where it has more, or where it is no table."""
    table = graph.tables.get(name)
    values = None if table is None else numpy_helper.to_array(table)
    return float(values.flat[0]) if values is not None and values.size == 1 else None
