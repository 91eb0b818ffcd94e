"""Maps in one row, as group normalization of all channels has them: the order means nothing.

A map (N, C, H, W) becomes (N, 1, C * H * W), of which a mean and a variance are taken, and a map
again. Between both its elements stay in the order of (N, H, W, C), in which it is kept.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from tvm import relax

from facebench.harness.compiler.graph.nodes import Expr, Graph, Node, shape
from facebench.harness.compiler.graph.values import Value

_REDUCTIONS = frozenset(f"relax.{name}" for name in ("max", "mean", "min", "sum", "variance"))
_BINARY = frozenset(f"relax.{name}" for name in ("add", "divide", "multiply", "subtract"))


def unordered(
    graph: Graph, values: Mapping[Expr, Value], builder: relax.BlockBuilder, node: Node
) -> Value | None:
    """Return what an operator gives that makes such a row, works on one, or makes it a map."""
    given = [values[one] for one in node.args if isinstance(one, relax.Var)]
    out = shape(node.var)
    if not given or out is None:
        return None
    if node.op == "relax.reshape":
        return _reshaped(given[0], out, builder)
    rows = [value for value in given if value.row is not None]
    if not rows:
        return None
    if node.op in _REDUCTIONS:
        return _reduced(rows[0], node, out, builder)
    if node.op in _BINARY and out == rows[0].shape:
        return _combined(graph, values, rows, node, builder)
    return None


def _reshaped(given: Value, out: tuple[int, ...], builder: relax.BlockBuilder) -> Value | None:
    if given.row is not None and out == given.map:
        batch, channels, height, width = out
        return Value(
            out, packed=builder.emit(relax.op.reshape(given.row, (batch, height, width, channels)))
        )
    if given.packed is None or out != (given.shape[0], 1, math.prod(given.shape[1:])):
        return None
    row = builder.emit(relax.op.reshape(given.as_packed(builder), out))
    return Value(out, row=row, map=given.shape)


def _reduced(
    row: Value, node: Node, out: tuple[int, ...], builder: relax.BlockBuilder
) -> Value | None:
    axes = [int(axis) % 3 for axis in node.attrs.axis or ()]
    if axes != [2]:
        return None
    return Value(out, planar=builder.emit(relax.Call(node.value.op, [row.row], node.attrs)))


def _combined(
    graph: Graph,
    values: Mapping[Expr, Value],
    rows: list[Value],
    node: Node,
    builder: relax.BlockBuilder,
) -> Value | None:
    """Return an operator of rows of one map, and of what has one element for a whole row."""
    operands = []
    for argument in node.args:
        constant = graph.constant(argument)
        value = values.get(argument) if isinstance(argument, relax.Var) else None
        if constant is not None and constant.size == 1:
            operands.append(argument if value is None else value.as_planar(builder))
        elif value is not None and value.row is not None and value.map == rows[0].map:
            operands.append(value.row)
        elif value is not None and value.shape[-1:] == (1,):
            operands.append(value.as_planar(builder))
        else:
            return None
    made = builder.emit(relax.Call(node.value.op, operands, node.attrs))
    return Value(rows[0].shape, row=made, map=rows[0].map)
