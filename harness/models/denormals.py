"""Counts denormal numbers in an ONNX file's weights and in what its layers compute."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from facebench.harness.machine import flushing
from facebench.harness.records.denormals import DenormalCount, Denormals
from facebench.harness.stats.arrays import FloatArray

if TYPE_CHECKING:
    import onnx

_SMALLEST_NORMAL = np.finfo(np.float32).smallest_normal


def count(path: Path, images: FloatArray) -> Denormals:
    """Look at all weights, and at what each layer makes of each image.

    Layers are run one by one as the file has them, so a runtime that fuses two computes no
    other numbers but for rounding.

    Args:
        path: of an ONNX file with one input of one image or more.
        images: (N, 3, H, W), N at least 1.
    """
    import onnx

    model = onnx.shape_inference.infer_shapes(onnx.load(str(path)))
    weights = tuple(
        DenormalCount(tensor.name, *_counts(onnx.numpy_helper.to_array(tensor)))
        for tensor in model.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT
    )
    return Denormals(len(images), weights, _activations(model, images))


def is_denormal(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Say which elements are denormal: an array of any shape to one of the same shape.

    The answer is the same whatever this thread does with denormal numbers.

    Example:
        >>> is_denormal(np.array([0.0, 1e-39, -1e-39, 1e-30], np.float32))
        array([False,  True,  True, False])
    """
    # As bits: a comparison of floating-point numbers is flushed too.
    magnitude = np.ascontiguousarray(values, np.float32).view(np.uint32) & np.uint32(0x7FFFFFFF)
    smallest_normal = _SMALLEST_NORMAL.view(np.uint32)
    return (magnitude > 0) & (magnitude < smallest_normal)


def _counts(values: NDArray[np.float32]) -> tuple[int, int]:
    return values.size, int(is_denormal(values).sum())


def _activations(model: onnx.ModelProto, images: FloatArray) -> tuple[DenormalCount, ...]:
    layers = dict(_layers(model))
    del model.graph.output[:]
    model.graph.output.extend(layers.values())
    found = dict.fromkeys(layers, (0, 0))
    for outputs in _run(model.SerializeToString(), images):
        for name, output in zip(layers, outputs, strict=True):
            found[name] = tuple(np.add(found[name], _counts(output)).tolist())
    return tuple(DenormalCount(name, *counts) for name, counts in found.items())


def _layers(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.ValueInfoProto]]:
    """Yield each layer's name and its output, of those that compute floating-point numbers."""
    import onnx

    values = {value.name: value for value in (*model.graph.value_info, *model.graph.output)}
    for node in model.graph.node:
        value = values.get(node.output[0])
        if value is None or node.op_type == "Constant":
            continue
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
            yield node.name or value.name, value


def _run(model: bytes, images: FloatArray) -> Iterator[list[FloatArray]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    with flushing.held(flushing.KEPT):
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    (image_input,) = session.get_inputs()
    for image in images:
        # Not around the `yield`: the mode is the thread's, and so the caller's too.
        with flushing.held(flushing.KEPT):
            outputs = session.run(None, {image_input.name: image[None]})
        yield outputs
