"""Mends slopes of PReLU that an old exporter wrote as one row, one slope a channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facebench.architectures.errors import BadInputError
from facebench.harness.models.onnx_network import files

if TYPE_CHECKING:
    from onnx import ModelProto


def mend(model: ModelProto, inferred: ModelProto, where: str) -> bool:
    """Give slopes of shape (C,) the shape (C, 1, 1), and say whether there were any.

    By ONNX's rule a row lies along the width, where so many slopes do not fit: no runtime runs
    such a file, and slopes of channels are what its exporter meant (MXNet's did so).

    Args:
        model: with its weights; it is changed.
        inferred: the same with shapes.
        where: the file, for sentences.

    Raises:
        BadInputError: as many slopes fit the channels and the width.
    """
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    graph = inferred.graph
    shapes = {value.name: files.shape(value) for value in (*graph.value_info, *graph.input)}
    found = False
    for node in model.graph.node:
        if node.op_type != "PRelu" or (slopes := held.get(node.input[1])) is None:
            continue
        shape = shapes.get(node.input[0], ())
        if len(slopes.dims) != 1 or slopes.dims[0] == 1 or len(shape) != 4:
            continue
        count = slopes.dims[0]
        if count == shape[1] == shape[3]:
            raise BadInputError(
                f"{where} has slopes {slopes.name} of shape ({count},) for {count} channels of a "
                f"width of {count}: save them as ({count}, 1, 1)"
            )
        if count == shape[1]:
            slopes.dims[:] = [count, 1, 1]
            found = True
    return found
