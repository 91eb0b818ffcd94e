"""Finds shifts of channels in an exported network: a pad, slices and a concatenation.

They become the depthwise convolutions that they are, with one weight a channel. The graph's
rewriter reads these through the convolution that follows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

# Channels, rows and columns of a map (N, C, H, W).
_AXES = 3
# Places that a channel is moved by, at most: a table of taps grows with their square.
_FARTHEST = 3


@dataclass(frozen=True)
class _MapBox:
    """It is a box of a map that may reach over its edges, where it is zero.

    Attributes:
        source: the map's name.
        start: of channels, rows and columns.
        extents: of the same.
    """

    source: str
    start: tuple[int, ...]
    extents: tuple[int, ...]


def with_convolutions(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model of fixed shapes whose shifts are depthwise convolutions.

    Args:
        model: in plain operators; it is changed.
    """
    if not any(node.op_type == "Slice" for node in model.graph.node):
        return model
    reader = _ShiftReader(onnx.shape_inference.infer_shapes(model))
    for index, node in reversed(list(enumerate(model.graph.node))):
        if (found := reader.shift(node)) is not None:
            source, weights = found
            name = f"{node.output[0]}.taps"
            model.graph.initializer.append(numpy_helper.from_array(weights, name))
            edge = weights.shape[2] // 2
            convolution = onnx.helper.make_node(
                "Conv", [source, name], list(node.output), name=node.name,
                group=len(weights), pads=[edge] * 4,
            )  # fmt: skip
            model.graph.node.remove(node)
            model.graph.node.insert(index, convolution)
    _drop_unread(model)
    return model


def _drop_unread(model: onnx.ModelProto) -> None:
    read = {value.name for value in model.graph.output}
    for node in reversed(list(model.graph.node)):
        if read.isdisjoint(node.output):
            model.graph.node.remove(node)
        else:
            read.update(node.input)


class _ShiftReader:
    """It knows the constants, shapes and makers of a graph's values."""

    def __init__(self, model: onnx.ModelProto) -> None:
        graph = model.graph
        self._makers = {name: node for node in graph.node for name in node.output}
        self._constants: dict[str, NDArray[Any]] = {
            one.name: numpy_helper.to_array(one) for one in graph.initializer
        }
        for node in graph.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self._constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        known = [*graph.input, *graph.value_info]
        self._shapes: Mapping[str, tuple[int, ...]] = {
            one.name: tuple(dim.dim_value for dim in one.type.tensor_type.shape.dim)
            for one in known
        }

    def shift(self, node: onnx.NodeProto) -> tuple[str, NDArray[np.float32]] | None:
        """Return which map a concatenation shifts, and the weights `(C, 1, K, K)` that say how."""
        if node.op_type != "Concat" or node.attribute[0].i not in (1, -_AXES):
            return None
        parts = [self._part(name) for name in node.input]
        taken = [one for one in parts if one is not None]
        sources = {one.source for one in taken}
        if len(taken) < len(parts) or len(sources) != 1:
            return None
        (source,) = sources
        channels, *size = self._shapes[source][1:]
        ends = np.cumsum([one.extents[0] for one in taken])
        starts = [0, *ends[:-1]]
        whole = all(list(one.extents[1:]) == size for one in taken)
        in_order = [one.start[0] for one in taken] == starts and ends[-1] == channels
        edge = max(abs(offset) for one in taken for offset in one.start[1:])
        if not (whole and in_order and 0 < edge <= _FARTHEST):
            return None
        weights = np.zeros((channels, 1, 2 * edge + 1, 2 * edge + 1), np.float32)
        for one in taken:
            row, column = (edge + offset for offset in one.start[1:])
            weights[one.start[0] : one.start[0] + one.extents[0], 0, row, column] = 1
        return source, weights

    def _part(self, name: str) -> _MapBox | None:
        """Return what a value is of a map; slices and pads of zero are looked through."""
        maker = self._makers.get(name)
        shape = self._shapes.get(name, ())
        if len(shape) != _AXES + 1 or 0 in shape:
            return None
        if maker is not None and maker.op_type in ("Slice", "Pad"):
            bounds = list(self._bounds(maker))
            inner = self._part(maker.input[0])
            if len(bounds) != _AXES or inner is None:
                return None
            # What was cut off before it was padded is zero there, and not in the map.
            if maker.op_type == "Pad" and inner.extents != self._shapes[inner.source][1:]:
                return None
            if shape[0] != self._shapes[inner.source][0]:
                return None
            moved = tuple(at + more for at, more in zip(inner.start, bounds, strict=True))
            return replace(inner, start=moved, extents=shape[1:])
        return _MapBox(name, (0,) * _AXES, shape[1:])

    def _bounds(self, node: onnx.NodeProto) -> Iterator[int]:
        """Yield where what a slice or pad gives begins in what it is given; none if it is another
        kind.
        """
        names = [name for name in node.input[1:] if name]
        given = [self._constants[name] for name in names if name in self._constants]
        if len(given) < len(names):
            return
        if node.op_type == "Pad":
            mode = [one.s for one in node.attribute if one.name == "mode"]
            zeros = len(given) < 3 and not any(np.any(one) for one in given[1:])
            if mode in ([], [b"constant"]) and zeros:
                yield from (-int(before) for before in given[0][1 : _AXES + 1])
            return
        if len(given) > 3 and np.any(given[3] != 1):
            return
        shape = self._shapes[node.input[0]]
        axes = given[2] if len(given) > 2 else np.arange(len(given[0]))
        at = {int(axis) % 4: int(start) for axis, start in zip(axes, given[0], strict=True)}
        for axis in range(1, _AXES + 1):
            start = at.get(axis, 0)
            yield max(0, start + shape[axis] if start < 0 else start)
