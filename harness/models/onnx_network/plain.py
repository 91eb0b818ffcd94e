"""Makes a graph plain for converters, which read less than runtimes do.

For one number of images all shapes are known; ONNX Runtime then works out what does not depend
on the image, folds batch normalization, and leaves out what does nothing.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from facebench.architectures.errors import BadInputError
from facebench.harness.models.onnx_network.unfused import first_line

if TYPE_CHECKING:
    from onnx import ModelProto

# Operators that work with shapes.
_ON_SHAPES = frozenset({"Shape", "ConstantOfShape"})


def computes_shapes(model: ModelProto) -> bool:
    """Say whether a graph works with shapes, which are constants where its batch is fixed."""
    return any(node.op_type in _ON_SHAPES for node in model.graph.node)


def plain(wrapped: ModelProto, batch: int | None) -> ModelProto:
    """Return a graph from `image` to `embedding` in plain operators, of so many images or of any.

    Raises:
        BadInputError: ONNX Runtime cannot read it.
    """
    import onnx
    import onnxruntime

    model = onnx.ModelProto()
    model.CopyFrom(wrapped)
    # What an exporter says of shapes inside is of the batch that it traced.
    del model.graph.value_info[:]
    for value in (*model.graph.input, *model.graph.output) if batch else ():
        value.type.tensor_type.shape.dim[0].dim_value = batch
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "plain.onnx"
        options.optimized_model_filepath = str(made)
        try:
            onnxruntime.InferenceSession(
                model.SerializeToString(),
                options,
                providers=["CPUExecutionProvider"],
                # It would part products from the layout that they have.
                disabled_optimizers=["MatMulAddFusion"],
            )
        except Exception as error:  # ONNX Runtime raises a dozen kinds
            raise BadInputError(f"it does not run ({first_line(error)})") from error
        found = onnx.load(made)
    _drop_what_says_nothing(found)
    return found


def _fixed(shape: np.ndarray | None) -> bool:
    return shape is not None and bool((shape != 0).all())


def _drop_what_says_nothing(model: ModelProto) -> None:
    """Leave out attributes that converters stop at though they change nothing here."""
    import onnx

    shapes = {
        tensor.name: onnx.numpy_helper.to_array(tensor)
        for tensor in model.graph.initializer
        if tensor.data_type == onnx.TensorProto.INT64
    }
    for node in model.graph.node:
        if node.op_type == "Reshape" and _fixed(shapes.get(node.input[1])):
            kept = [one for one in node.attribute if one.name != "allowzero"]
            del node.attribute[:]
            node.attribute.extend(kept)
