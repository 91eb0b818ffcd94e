"""Recognises channel shuffles and pools among the operators that they consist of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from facebench.harness.compiler.graph.nodes import Graph, Node, shape
from facebench.harness.compiler.workload import Pair, Window


@dataclass(frozen=True)
class Shuffle:
    """It is a channel shuffle: a reshape, a transposition and a reshape.

    Attributes:
        nodes: the three.
        groups: between which channels are shuffled.
    """

    nodes: tuple[Node, ...]
    groups: int

    @property
    def last(self) -> Node:
        """Return the last node, whose variable is what the shuffle gives."""
        return self.nodes[-1]


def shuffles(graph: Graph) -> list[Shuffle]:
    """Return all channel shuffles of a graph."""
    return [found for node in graph.nodes if (found := _shuffle(graph, node)) is not None]


def _shuffle(graph: Graph, node: Node) -> Shuffle | None:
    whole, split = shape(node.args[0]) if node.args else None, shape(node.var)
    if node.op != "relax.reshape" or whole is None or split is None:
        return None
    if len(whole) != 4 or len(split) not in (4, 5) or split[1] * split[2] != whole[1]:
        return None
    turn = graph.sole_user(node)
    if turn is None or turn.op != "relax.permute_dims":
        return None
    axes = [int(axis) for axis in turn.attrs.axes or ()]
    if axes != [0, 2, 1, *range(3, len(split))]:
        return None
    back = graph.sole_user(turn)
    if back is None or back.op != "relax.reshape" or shape(back.var) != whole:
        return None
    return Shuffle((node, turn, back), split[1])


def pooled(node: Node) -> tuple[Window, str] | None:
    """Return the window and kind of a pooling that has a kernel."""
    given = shape(node.args[0]) if node.args else None
    if given is None or len(given) != 4:
        return None
    if node.op == "relax.mean":
        axes = sorted(int(axis) % 4 for axis in node.attrs.axis or ())
        return (_global(given), "mean") if axes == [2, 3] else None
    if node.op == "relax.nn.adaptive_avg_pool2d" and shape(node.var) == (*given[:2], 1, 1):
        return _global(given), "mean"
    if node.op not in ("relax.nn.max_pool2d", "relax.nn.avg_pool2d"):
        return None
    attrs = node.attrs
    padding = [int(amount) for amount in attrs.padding]
    mean = node.op == "relax.nn.avg_pool2d"
    if bool(attrs.ceil_mode) or (mean and any(padding) and not bool(attrs.count_include_pad)):
        return None
    window = Window(
        _pair(attrs.pool_size),
        _pair(attrs.strides),
        (padding[0], padding[1]),
        _pair(attrs.dilation),
    )
    return window, "mean" if mean else "max"


def _pair(values: Any) -> Pair:
    first, second = (int(value) for value in values)
    return first, second


def _global(extents: tuple[int, ...]) -> Window:
    return Window((extents[2], extents[3]))
