"""Provides convolutions and matrix products with what follows them: one kernel each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from facebench.harness.compiler.activations import activation
from facebench.harness.compiler.graph.nodes import Expr, Graph, Node, shape
from facebench.harness.compiler.workload import Epilogue, Pair, Window
from facebench.harness.stats.arrays import FloatArray

_ACTIVATIONS = {"relax.nn.relu": "relu"}


@dataclass(frozen=True)
class Chain:
    """It holds operators that become one kernel.

    Attributes:
        nodes: from the convolution to the last that is fused into it.
        input: what the convolution reads.
        weights: (F, C / groups, KH, KW).
        window: kernel, stride, padding, dilation.
        groups: of the convolution.
        bias: (F,).
        epilogue: what follows the sum.
        slopes: of a PReLU, (F,).
        added: what is added to the sum.
        channels_last: of a matrix product of more than two axes; all axes but the last are pixels.
    """

    nodes: tuple[Node, ...]
    input: Expr
    weights: FloatArray
    window: Window
    groups: int
    bias: FloatArray
    epilogue: Epilogue = ()
    slopes: FloatArray | None = None
    added: Expr | None = None
    channels_last: bool = False

    @property
    def last(self) -> Node:
        """Return the last node, whose variable is what the kernel gives."""
        return self.nodes[-1]

    @property
    def filters(self) -> int:
        """Return the channels of the output."""
        return len(self.weights)


def chains(graph: Graph, activations: bool = True) -> list[Chain]:
    """Return all chains of a graph; no operator is in two.

    Args:
        graph: of a network.
        activations: kernels apply those of `ACTIVATIONS`, which half precision's do not: they
            are more than one operation, and each is rounded.
    """
    found: list[Chain] = []
    taken: set[Expr] = set()
    for node in graph.nodes:
        start = _convolution(graph, node) or _product(graph, node)
        if start is None:
            continue
        chain = _extended(graph, start, taken, activations)
        taken |= {member.var for member in chain.nodes}
        found.append(chain)
    return found


def shifts(graph: Graph, found: Sequence[Chain]) -> list[Chain]:
    """Return depthwise convolutions that only move channels, for one pointwise convolution each.

    They move as many channels by each tap of their window, in order, and the rest by none.
    """
    pointwise = {chain.nodes[0].var for chain in found if _pointwise(chain)}
    users = [(chain, graph.sole_user(chain.last)) for chain in found if _moves(chain)]
    return [chain for chain, user in users if user is not None and user.var in pointwise]


def _pointwise(chain: Chain) -> bool:
    on_map = len(shape(chain.input) or ()) == 4
    return on_map and chain.groups == chain.window.taps == 1 and chain.window.padding == (0, 0)


def _moves(chain: Chain) -> bool:
    window, channels = chain.window, chain.filters
    edges = (window.kernel[0] // 2, window.kernel[1] // 2)
    alone = len(chain.nodes) == 1 and chain.groups == channels
    # A convolution may be padded otherwise below and to the right.
    alone = alone and shape(chain.last.var) == shape(chain.input)
    if not alone or window != Window(window.kernel, padding=edges) or window.taps % 2 == 0:
        return False
    share = channels // window.taps
    taps = np.full(channels, window.taps // 2)
    taps[: share * window.taps] = np.repeat(np.arange(window.taps), share)
    expected = np.eye(window.taps, dtype=np.float32)[taps]
    return share > 0 and np.array_equal(chain.weights.reshape(channels, -1), expected)


def _convolution(graph: Graph, node: Node) -> Chain | None:
    if node.op != "relax.nn.conv2d" or shape(node.var) is None:
        return None
    attrs = node.attrs
    layouts = (str(attrs.data_layout), str(attrs.kernel_layout))
    weights = graph.constant(node.args[1])
    if weights is None or layouts != ("NCHW", "OIHW") or shape(node.args[0]) is None:
        return None
    window = Window(
        _pair(weights.shape[2:]),
        _pair(attrs.strides),
        _pair(attrs.padding[:2]),
        _pair(attrs.dilation),
    )
    zero = np.zeros(len(weights), np.float32)
    return Chain((node,), node.args[0], weights, window, int(attrs.groups), zero)


def _product(graph: Graph, node: Node) -> Chain | None:
    """Return a matrix product with constant weights: a convolution that gives one pixel.

    Where a flattened map is multiplied, that is the map under a window of its size; a product of
    more axes, as in transformers, is a pointwise convolution.
    """
    if node.op != "relax.matmul":
        return None
    weights, rows = graph.constant(node.args[1]), shape(node.args[0])
    if weights is None or weights.ndim != 2 or rows is None or len(rows) < 2:
        return None
    if len(rows) > 2:
        kernel = np.ascontiguousarray(weights.T)[:, :, None, None]
        zero = np.zeros(len(kernel), np.float32)
        return Chain((node,), node.args[0], kernel, Window((1, 1)), 1, zero, channels_last=True)
    given = _flattened(graph, node.args[0])
    extents = (shape(given) or ())[2:] or (1, 1)
    kernel = np.ascontiguousarray(weights.T).reshape(weights.shape[1], -1, *extents)
    zero = np.zeros(len(kernel), np.float32)
    return Chain((node,), given, kernel, Window(_pair(extents)), 1, zero)


def _flattened(graph: Graph, rows: Expr) -> Expr:
    """Return the map that was flattened to rows, or the rows themselves."""
    node = graph.defining(rows)
    if node is None or node.op != "relax.reshape":
        return rows
    extents = shape(node.args[0]) or ()
    return node.args[0] if len(extents) == 4 and extents[0] == (shape(rows) or (0,))[0] else rows


def _pair(values: Any) -> Pair:
    first, second = (int(value) for value in values)
    return first, second


def _extended(graph: Graph, chain: Chain, taken: set[Expr], activations: bool) -> Chain:
    """Return the chain with all that can follow its sum in registers."""
    while True:
        found = activation(graph, chain.last) if activations else None
        if found is not None:
            name, nodes = found
            epilogue = (*chain.epilogue, name)
            chain = replace(chain, nodes=(*chain.nodes, *nodes), epilogue=epilogue)
            continue
        user = graph.sole_user(chain.last)
        if user is None or user.var in taken:
            return chain
        longer = _with(graph, chain, user)
        if longer is None:
            return chain
        chain = longer


def _with(graph: Graph, chain: Chain, node: Node) -> Chain | None:
    """Return the chain with one more operator, or None where that has no place in a kernel."""
    nodes = (*chain.nodes, node)
    if node.op in _ACTIVATIONS:
        return replace(chain, nodes=nodes, epilogue=(*chain.epilogue, _ACTIVATIONS[node.op]))
    if node.op == "relax.nn.prelu":
        return _with_prelu(graph, chain, node)
    if node.op == "relax.add":
        return _with_add(graph, chain, node)
    if node.op in ("relax.maximum", "relax.minimum"):
        epilogue = _bounded(chain.epilogue, node.op, graph.constant(node.args[1]))
        return None if epilogue is None else replace(chain, nodes=nodes, epilogue=epilogue)
    return None


def _bounded(epilogue: Epilogue, op: str, bound: FloatArray | None) -> Epilogue | None:
    """ReLU6 comes as a maximum with 0 and a minimum with 6."""
    if bound is None or bound.size != 1:
        return None
    if op == "relax.maximum" and bound == 0:
        return (*epilogue, "relu")
    if op == "relax.minimum" and bound == 6 and epilogue[-1:] == ("relu",):
        return (*epilogue[:-1], "relu6")
    return None


def _with_prelu(graph: Graph, chain: Chain, node: Node) -> Chain | None:
    slopes = graph.constant(node.args[1])
    if chain.slopes is not None or slopes is None or int(node.attrs.axis) != 1:
        return None
    if chain.channels_last:
        return None
    if slopes.size not in (1, chain.filters):
        return None
    slopes = np.broadcast_to(slopes.ravel(), chain.filters)
    name = "leaky" if (slopes <= 1).all() else "prelu"
    epilogue = (*chain.epilogue, name)
    return replace(chain, nodes=(*chain.nodes, node), epilogue=epilogue, slopes=slopes)


def _with_add(graph: Graph, chain: Chain, node: Node) -> Chain | None:
    left, right = node.args
    other = right if left.same_as(chain.last.var) else left
    nodes = (*chain.nodes, node)
    value = graph.constant(other)
    if value is not None:
        rank = len(shape(node.var) or ())
        axis = rank - 1 if chain.channels_last else 1
        bias = _per_channel(value, chain.filters, rank, axis)
        if bias is None or chain.epilogue:
            return None
        return replace(chain, nodes=nodes, bias=chain.bias + bias)
    if chain.added is not None or left.same_as(right):
        return None
    # A map of one channel may be added to all channels of another, which makes it a larger map.
    if shape(node.var) is None or not shape(other) == shape(chain.last.var) == shape(node.var):
        return None
    return replace(chain, nodes=nodes, epilogue=(*chain.epilogue, "add"), added=other)


def _per_channel(value: FloatArray, channels: int, rank: int, axis: int) -> FloatArray | None:
    """Return a constant that is the same for all pixels, as (C,); channels are one axis."""
    extents = (1,) * (rank - value.ndim) + value.shape
    expected = tuple(channels if one == axis else 1 for one in range(rank))
    if value.size == 1:
        return np.full(channels, value.ravel()[0], np.float32)
    return value.ravel() if extents == expected else None
