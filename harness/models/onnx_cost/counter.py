"""Counts an ONNX graph: parameters, multiply-adds, activations and bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from facebench.architectures.errors import BadInputError
from facebench.harness.models.onnx_cost.folding import folded
from facebench.harness.models.onnx_cost.graph import OnnxGraph, Operator, read
from facebench.harness.models.onnx_cost.leftovers import without_leftovers
from facebench.harness.models.onnx_cost.parameters import Parameters
from facebench.harness.models.onnx_cost.patterns import joined
from facebench.harness.models.onnx_cost.rules import RULES
from facebench.harness.models.tally import CostTally, Map, Role, cost
from facebench.harness.records.cost import Cost


def count(
    model: Any,
    shape: Sequence[int],
    input_size: tuple[int, int],
    output: str | None = None,
) -> Cost:
    """Return the cost of one image in an ONNX model.

    Args:
        model: an `onnx.ModelProto` with its weights loaded; it stays as it was.
        shape: of the input, its batch first and no dimension free.
        input_size: height and width in pixels.
        output: name of the output that is the embedding; the first where None.

    Raises:
        BadInputError: an operator has no rule, or shapes cannot be worked out.
    """
    graph = joined(without_leftovers(read(model, shape, output)))
    trained, without_norms = _walked(graph), _walked(folded(graph))
    return cost(
        trained,
        without_norms,
        sum(trained.parameters.values()),
        input_size,
        graph.elements(graph.output),
    )


def _walked(graph: OnnxGraph) -> CostTally:
    unknown = {one.kind for one in graph.operators if one.output in graph.mapped} - set(RULES)
    if unknown:
        raise BadInputError(
            f"no rule says what these operators cost: {', '.join(sorted(unknown))}; "
            "add them to the table in harness/models/onnx_cost/rules.py"
        )
    tally, parameters = CostTally(), Parameters(graph)
    tally.add_image(_map(graph, graph.image))
    for one in graph.operators:
        if one.output in graph.mapped:
            _visit(tally, parameters, graph, one)
    return tally


def _visit(tally: CostTally, parameters: Parameters, graph: OnnxGraph, one: Operator) -> None:
    rule = RULES[one.kind]
    role = Role.VIEW if _selects_one(graph, one) else rule.role
    mapped = [_map(graph, name) for name in one.inputs if name in graph.mapped]
    for name in one.outputs:
        tally.place(role, mapped, _map(graph, name))
    if role is not Role.VIEW:
        tally.add_layer(
            one.name,
            one.kind,
            role,
            graph.shapes[one.output],
            parameters.of(one, rule.parameters),
            rule.operations(one, graph),
            rule.convention,
        )


def _selects_one(graph: OnnxGraph, one: Operator) -> bool:
    """Say whether one index is taken of a dimension, which copies nothing."""
    return one.kind == "Gather" and graph.shapes[one.inputs[1]] == ()


def _map(graph: OnnxGraph, name: str) -> Map:
    return Map(name, graph.elements(name), graph.readers[name])
