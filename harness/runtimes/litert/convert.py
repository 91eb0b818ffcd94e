"""Converts an ONNX graph to the file that LiteRT reads.

LiteRT's own converter needs another torch than this project, in an environment of its own of
2 GB, and parts PReLU into a ReLU, a product and a difference. A file is written here instead,
without a network or a second environment, one operator for one of ONNX's where there is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import numpy_helper

from facebench.architectures.errors import BadInputError
from facebench.harness.models.onnx_cost import graph as onnx_graph
from facebench.harness.runtimes.litert import elementwise, patterns, places, sums, windows
from facebench.harness.runtimes.litert.conversion import (
    CHANNELS_LAST,
    RULES,
    Conversion,
)
from facebench.harness.runtimes.litert.quantized import quantized

if TYPE_CHECKING:
    from onnx import ModelProto

# The modules whose rules are known.
_RULES_IN = (elementwise, places, sums, windows)


def convert(model: ModelProto, half: bool = False) -> bytes:
    """Return the file that computes what a graph in plain operators does.

    Args:
        model: from `image` (N, 3, H, W) to `embedding` (N, E), for one N. The file's own `image`
            is (N, H, W, 3).
        half: keep its constants in half precision, and let LiteRT compute in it where the CPU
            does so.

    Raises:
        BadInputError: LiteRT has no operator for one of its operators.
    """
    image = model.graph.input[0].type.tensor_type.shape.dim
    shape = [one.dim_value for one in image]
    graph = onnx_graph.read(model, shape, passing=onnx_graph.SAME_VALUES)
    arrays = {name: numpy_helper.to_array(table) for name, table in graph.tables.items()}
    whole = quantized(patterns.joined(graph, arrays), arrays)
    graph = whole.graph
    _require_rules({one.kind for one in graph.operators})
    conversion = Conversion(graph, whole.arrays, whole.quantizations, half)
    given = conversion.start(CHANNELS_LAST)
    for one in graph.operators:
        RULES[one.kind](conversion, one)
    made = conversion.tensor(graph.output, range(len(conversion.shape(graph.output))))
    return conversion.writer.written(given, made)


def _require_rules(kinds: set[str]) -> None:
    if missing := sorted(kind for kind in kinds if kind not in RULES):
        raise BadInputError(
            f"LiteRT has no operator for {', '.join(missing)}: time this network in another "
            "runtime, such as onnxruntime"
        )
