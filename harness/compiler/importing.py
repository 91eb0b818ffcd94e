"""Imports an exported network into TVM."""

from __future__ import annotations

import contextlib
import importlib
import io
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facebench.architectures.errors import BadInputError
from facebench.harness.compiler.tvm import import_tvm
from facebench.harness.models.export import Exported

if TYPE_CHECKING:
    import onnx

# Operators that work with shapes; of a batch that is fixed they are constants.
_ON_SHAPES = {"Shape", "ConstantOfShape"}


@lru_cache(maxsize=1)
def import_network(exported: Exported, batch: int) -> Any:
    """Return the network as a Relax module; the last one is kept for the next target.

    Raises:
        BadInputError: TVM cannot import it.
    """
    import onnx

    import_tvm()
    frontend = importlib.import_module("tvm.relax.frontend.onnx")
    height, width = exported.facts()["input_size"]
    model = onnx.load(exported.onnx)
    if any(node.op_type in _ON_SHAPES for node in model.graph.node):
        model = _with_constants(model, batch)
    shapes = {"image": [batch, 3, height, width]}
    try:
        # It prints the operator that it cannot convert, beside what it raises.
        with contextlib.redirect_stdout(io.StringIO()):
            return frontend.from_onnx(model, shape_dict=shapes, keep_params_in_input=False)
    except Exception as error:  # TVM raises what its C++ side throws
        first = str(error).strip().splitlines() or [type(error).__name__]
        raise BadInputError(
            f"TVM cannot import this network ({first[-1]}): time it in another runtime, such as "
            "onnxruntime, or write its shapes as constants"
        ) from error


def _with_constants(model: onnx.ModelProto, batch: int) -> onnx.ModelProto:
    """Return the network for one size of batch, with all that does not depend on images worked out.

    ONNX Runtime does that. Its other simplifications at this level keep to ONNX's operators;
    the one that would part products from the layout that they have is left out.
    """
    import onnx
    import onnxruntime

    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(path)
        options.log_severity_level = 3
        onnxruntime.InferenceSession(
            model.SerializeToString(),
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=["MatMulAddFusion"],
        )
        return onnx.load(path)
