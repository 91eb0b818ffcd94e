"""Writes a graph so that no runtime has to work out a shape, or to take five dimensions."""

from __future__ import annotations

import operator
from math import prod
from typing import Any, TypeGuard

import torch
from torch import fx

# Of each tensor in the graph, its shape for each of two batches.
Sizes = dict[fx.Node, tuple[tuple[int, ...], tuple[int, ...]]]


def rewrite(graph: fx.Graph, sizes: Sizes) -> None:
    """Do all of it; the graph computes the same."""
    _fix_reshapes(graph, sizes)
    _split_first(graph, sizes)
    _shuffle(graph, sizes)
    _divide_by_norms(graph, sizes)


def _fix_reshapes(graph: fx.Graph, sizes: Sizes) -> None:
    """Write sizes of reshapes as constants, with -1 for the one that depends on the batch."""
    for node in graph.nodes:
        kinds = ("reshape", "view", "reshape_as", "view_as")
        if node.op != "call_method" or node.target not in kinds or len(node.all_input_nodes) < 2:
            continue
        extents = [a if a == b else -1 for a, b in zip(*sizes[node], strict=True)]
        if extents.count(-1) == 1:
            node.target, node.kwargs = "reshape", {}
            node.args = (node.args[0], tuple(extents))


def _split_first(graph: fx.Graph, sizes: Sizes) -> None:
    """Part queries, keys and values before their heads are parted, not after.

    Attention makes the three by one product, as `(N, L, 3 * heads * width)`, reshapes that
    to five dimensions, and takes it apart. To take the product apart computes the same, and
    keeps to four dimensions, which is what ncnn has with the batch.
    """
    for turned in list(graph.nodes):
        if turned.op == "call_method" and turned.target == "permute":
            _split(graph, turned, sizes)


def _split(graph: fx.Graph, turned: fx.Node, sizes: Sizes) -> None:
    split = turned.args[0]
    if not isinstance(split, fx.Node) or split.target not in ("reshape", "view"):
        return
    whole, parts = split.args[0], _parts(turned)
    if not isinstance(whole, fx.Node) or whole not in sizes or not parts or len(split.users) > 1:
        return
    order, extents = _numbers(turned.args[1:]), list(sizes[split][0])
    axis = order[0]
    last = sizes[whole][0]
    if tuple(extents[:axis]) != last[:-1] or axis < 1 or prod(extents[axis:]) != last[-1]:
        return
    rest = [extent for i, extent in enumerate(extents) if i != axis]
    rest[0] = -1  # the batch
    turn = [one - (one > axis) for one in order[1:]]
    with graph.inserting_before(turned):
        chunks = graph.call_function(torch.chunk, (whole, extents[axis], -1))
        for number, part in parts:
            chunk = graph.call_function(operator.getitem, (chunks, number))
            heads = graph.call_method("reshape", (chunk, tuple(rest)))
            part.replace_all_uses_with(graph.call_method("permute", (heads, *turn)))


# How the six dimensions of cells of a map are ordered to take the cells apart, and to join them.
_APART, _TOGETHER = [0, 1, 3, 5, 2, 4], [0, 1, 4, 2, 5, 3]


def _shuffle(graph: fx.Graph, sizes: Sizes) -> None:
    """Take square cells of a map apart, and join them, by the operators that there are for it.

    Written as reshapes they need six dimensions, which ncnn has not (MobileViT).
    """
    for turned in list(graph.nodes):
        if turned.op != "call_method" or turned.target != "permute":
            continue
        split, order = turned.args[0], _numbers(turned.args[1:])
        if not _is_reshape(split) or not all(map(_is_reshape, turned.users)):
            continue
        whole, (_, channels, *extents) = split.args[0], sizes[split][0]
        if not isinstance(whole, fx.Node) or len(split.users) > 1:
            continue
        with graph.inserting_before(turned):
            if (
                order == _APART
                and extents[1] == extents[3]
                and len(sizes.get(whole, ((),))[0]) == 4
            ):
                made = graph.call_function(torch.nn.functional.pixel_unshuffle, (whole, extents[1]))
            elif order == _TOGETHER and extents[0] == extents[1]:
                cells = (-1, channels * extents[0] ** 2, *extents[2:])
                joined = graph.call_method("reshape", (whole, cells))
                made = graph.call_function(torch.nn.functional.pixel_shuffle, (joined, extents[0]))
            else:
                continue
        turned.replace_all_uses_with(made)


def _is_reshape(node: Any) -> TypeGuard[fx.Node]:
    return isinstance(node, fx.Node) and node.target in ("reshape", "view")


def _divide_by_norms(graph: fx.Graph, sizes: Sizes) -> None:
    """Write `normalize` as what it does: it expands the norm to a shape that it works out.

    ncnn crashes on it, too, along another axis than that of channels.
    """
    for node in list(graph.nodes):
        if node.target is not torch.nn.functional.normalize or node not in sizes:
            continue
        given = dict(zip(("input", "p", "dim", "eps"), node.args, strict=False)) | node.kwargs
        order, axis, least = (given.get(key) for key in ("p", "dim", "eps"))
        order, axis = 2.0 if order is None else order, 1 if axis is None else axis
        with graph.inserting_before(node):
            norm = graph.call_function(
                torch.linalg.vector_norm, (given["input"], order, axis), {"keepdim": True}
            )
            kept = graph.call_method("clamp_min", (norm, 1e-12 if least is None else least))
            node.replace_all_uses_with(
                graph.call_function(operator.truediv, (given["input"], kept))
            )


def _parts(turned: fx.Node) -> list[tuple[int, fx.Node]]:
    """Return which entries of the first axis are read and by what; none where all of it is."""
    found: list[tuple[int, fx.Node]] = []
    for user in turned.users:
        if user.target == "unbind" and user.args[1:] in ((), (0,)) and not user.kwargs:
            taken = [one for one in user.users if one.target is operator.getitem]
            found += [(one.args[1], one) for one in taken if isinstance(one.args[1], int)]
        elif user.target is operator.getitem and isinstance(user.args[1], int):
            found.append((user.args[1], user))
        else:
            return []
    return found


def _numbers(arguments: Any) -> list[int]:
    """Return dimensions that were given as one sequence, or each by itself."""
    inner = arguments[0] if isinstance(arguments[0], tuple | list) else arguments
    return [int(one) for one in inner]
