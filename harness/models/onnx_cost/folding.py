"""Leaves out of a graph the batch normalization that the layer before it can take."""

from __future__ import annotations

from dataclasses import replace

from facebench.harness.models.onnx_cost.graph import OnnxGraph, Operator

_LAYERS = frozenset({"Conv", "Gemm", "MatMul"})


def folded(graph: OnnxGraph) -> OnnxGraph:
    """Return the graph as runtimes hold it: each layer with the BN after it in its weights.

    BN stays where nothing can take it: after another kind of layer, or one whose output or
    weights others read too.
    """
    alias: dict[str, str] = {}
    with_bias: dict[str, str] = {}
    for one in graph.operators:
        layer = graph.makers.get(one.inputs[0]) if one.kind == "BatchNormalization" else None
        if layer is not None and _takes(graph, layer):
            alias[one.output] = layer.output
            with_bias[layer.output] = one.inputs[2]
    kept = [one for one in graph.operators if one.output not in alias]
    return replace(graph, output=alias.get(graph.output, graph.output),
                   operators=[_rewritten(one, alias, with_bias) for one in kept])  # fmt: skip


def _takes(graph: OnnxGraph, layer: Operator) -> bool:
    if layer.kind not in _LAYERS or graph.readers[layer.output] != 1:
        return False
    if layer.kind == "MatMul" and len(graph.shapes[layer.output]) != 2:
        return False  # its channels are the last dimension, and BN's the second
    return layer.inputs[1] not in graph.mapped and graph.readers[layer.inputs[1]] == 1


def _rewritten(one: Operator, alias: dict[str, str], with_bias: dict[str, str]) -> Operator:
    """Return the operator that reads what is left; a layer without a bias gets the BN's."""
    inputs = tuple(alias.get(name, name) for name in one.inputs)
    if one.output in with_bias and len([name for name in inputs if name]) == 2:
        inputs = (*inputs[:2], with_bias[one.output])
    return replace(one, inputs=inputs)
