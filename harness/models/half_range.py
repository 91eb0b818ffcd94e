"""Says how far a network's numbers go, for half precision, which holds less than 65,520."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from facebench.harness.models.export import Exported
from facebench.harness.stats.arrays import FloatArray

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


@dataclass(frozen=True)
class Reach:
    """It says how far the numbers of one of a network's layers go.

    Attributes:
        layer: its operator, and its name in the ONNX file.
        largest: the largest number that it gives, in absolute value.
        bound: at least that; no sum on the way to it goes further, whatever its order.
    """

    layer: str
    largest: float
    bound: float


@dataclass(frozen=True)
class _Tensor:
    """It says how large a tensor's elements are in absolute value, and what its shape is."""

    largest: float
    shape: Sequence[int]


def reaches(exported: Exported) -> list[Reach]:
    """Return how far each layer goes on the reference inputs, in the file's order.

    They are worked out in the file's own precision. Layers whose numbers are no floating point, or
    not finite, are left out; so are those in the branches of a condition.
    """
    import onnx

    model = onnx.load(exported.onnx)
    weights = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    images, _ = exported.reference()
    tensors = _evaluated(model, images)
    known = {name: _tensor(array) for name, array in weights.items()} | tensors
    found = []
    for node in model.graph.node:
        given = [tensors[name] for name in node.output if name in tensors]
        if given and node.op_type != "Constant":
            largest = max(one.largest for one in given)
            bound = _bound(node, given[0], known, weights)
            name = f"{node.op_type} {node.name or node.output[0]}"
            found.append(Reach(name, largest, max(largest, bound)))
    return found


def _evaluated(model: ModelProto, images: FloatArray) -> dict[str, _Tensor]:
    """Return what is known of the image and of every layer's outputs, over all images."""
    import onnx
    import onnxruntime

    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    given = {one.name for one in model.graph.output}
    names = [name for node in model.graph.node for name in node.output if name]
    exposed.graph.output.extend(onnx.ValueInfoProto(name=one) for one in names if one not in given)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        exposed.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    (image,) = [one.name for one in session.get_inputs()]
    found = {image: _tensor(images)}
    # One image at a time: a user's file may hold a fixed batch.
    for one in images:
        for name, array in zip(names, session.run(names, {image: one[None]}), strict=True):
            if _floating(array) and np.isfinite(array).all():
                tensor = _tensor(array)
                largest = max(tensor.largest, found.get(name, tensor).largest)
                found[name] = _Tensor(largest, tensor.shape)
    return found


def _bound(
    node: NodeProto, output: _Tensor, known: Mapping[str, _Tensor], weights: Mapping[str, Any]
) -> float:
    """Return what no sum of a layer exceeds: the sum of its terms' absolute values, at most."""
    inputs = [known[name] for name in node.input if name in known]
    if not inputs:
        return 0.0
    if node.op_type in ("Conv", "Gemm", "MatMul"):
        bias = inputs[2].largest if len(inputs) > 2 else 0.0
        matrix = weights.get(node.input[1])
        if matrix is None:
            return inputs[0].largest * inputs[-1].largest * inputs[0].shape[-1]
        return inputs[0].largest * _longest(node, np.abs(matrix)) + bias
    if node.op_type.startswith("Reduce") or node.op_type.endswith("AveragePool"):
        summed = math.prod(inputs[0].shape) / math.prod(output.shape)
        if node.op_type.endswith("AveragePool") and not node.op_type.startswith("Global"):
            (kernel,) = [one.ints for one in node.attribute if one.name == "kernel_shape"]
            summed = math.prod(kernel)
        return inputs[0].largest * summed
    return 0.0


def _longest(node: NodeProto, matrix: FloatArray) -> float:
    """Return the largest sum of the absolute weights of one output."""
    transposed = any(one.name == "transB" and one.i for one in node.attribute)
    if node.op_type == "Conv" or transposed:
        return float(matrix.reshape(len(matrix), -1).sum(axis=1).max())
    return float(matrix.sum(axis=-2).max())


def _tensor(array: Any) -> _Tensor:
    return _Tensor(float(np.abs(array).max(initial=0)), array.shape)


def _floating(array: Any) -> bool:
    return isinstance(array, np.ndarray) and array.dtype.kind == "f" and array.size > 0
