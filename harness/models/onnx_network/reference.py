"""Evaluates a user's graph in double precision: what every runtime's answers are held against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from facebench.harness.models.onnx_network import files
from facebench.harness.models.onnx_network.canonical import adapted
from facebench.harness.models.onnx_network.interface import Interface
from facebench.harness.stats.arrays import FloatArray

if TYPE_CHECKING:
    from onnx import ModelProto

_FLOATS = (1, 10)  # of `onnx.TensorProto`: single and half precision


def outputs(
    model: ModelProto, found: Interface, images: FloatArray, exact: bool, channels: str = "RGB"
) -> FloatArray:
    """Return the graph's own embeddings (K, E) of images (K, 3, H, W), one image at a time.

    Each operator is as ONNX defines it (`onnx.reference`), but for convolutions, which are
    torch's.

    Args:
        model: with its weights.
        found: its interface.
        images: preprocessed.
        exact: in double precision, or as the graph says.
        channels: their order in the images.
    """
    from onnx.reference import ReferenceEvaluator

    from facebench.harness.models.onnx_network.operators import OPERATORS

    evaluator = ReferenceEvaluator(_double(model) if exact else model, new_ops=OPERATORS)
    given = adapted(images, found, channels)
    if exact and not found.raw:
        given = given.astype(np.float64)
    embeddings = [
        _embedding(evaluator, found, np.repeat(image[None], found.batch or 1, axis=0))
        for image in given
    ]
    return np.stack(embeddings)


def _embedding(evaluator: Any, found: Interface, image: FloatArray) -> FloatArray:
    (answer,) = evaluator.run([found.embedding], {found.image: image})
    embedding: FloatArray = np.asarray(answer, np.float64).reshape(found.batch or 1, -1)[0]
    return embedding


def _double(model: ModelProto) -> ModelProto:
    """Return a copy whose weights, constants and casts are in double precision."""
    import onnx

    made = onnx.ModelProto()
    made.CopyFrom(model)
    for tensor in files.tensors(made):
        if tensor.data_type in _FLOATS:
            values = onnx.numpy_helper.to_array(tensor).astype(np.float64)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    for node in files.nodes(made.graph):
        _widen(node)
    return made


def _widen(node: Any) -> None:
    import onnx

    double = onnx.TensorProto.DOUBLE
    constant = node.op_type == "Constant"
    for attribute in node.attribute:
        if attribute.name in ("to", "dtype") and attribute.i in _FLOATS:
            attribute.i = double
        elif constant and attribute.name in ("value_float", "value_floats"):
            floats = attribute.floats if attribute.name == "value_floats" else attribute.f
            values = np.asarray(floats, np.float64)
            attribute.Clear()
            attribute.CopyFrom(
                onnx.helper.make_attribute("value", onnx.numpy_helper.from_array(values))
            )


def constants(model: ModelProto) -> Sequence[tuple[str, np.ndarray]]:
    """Return the weights of floating point, of any shape, by name."""
    import onnx

    return [
        (tensor.name, onnx.numpy_helper.to_array(tensor))
        for tensor in files.tensors(model)
        if tensor.data_type in (*_FLOATS, onnx.TensorProto.DOUBLE)
    ]
