"""Imports an exported network into TVM."""

from __future__ import annotations

import contextlib
import importlib
import io
from functools import lru_cache
from typing import Any

from facebench.architectures.errors import BadInputError
from facebench.harness.compiler.tvm import import_tvm
from facebench.harness.models.export import Exported
from facebench.harness.models.onnx_network.plain import computes_shapes, plain


@lru_cache(maxsize=1)
def import_network(exported: Exported, batch: int) -> Any:
    """Return the network as a Relax module; the last one is kept for the next target.

    Raises:
        BadInputError: TVM cannot import it.
    """
    import onnx

    import_tvm()
    from facebench.harness.models.onnx_network.shifts import with_convolutions  # loads onnx

    frontend = importlib.import_module("tvm.relax.frontend.onnx")
    height, width = exported.facts()["input_size"]
    model = onnx.load(exported.onnx)
    if exported.from_onnx or computes_shapes(model):
        model = plain(model, batch)
    model = with_convolutions(model)
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
