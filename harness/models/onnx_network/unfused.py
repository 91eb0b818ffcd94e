"""Runs graphs in ONNX Runtime, as they are: nothing in them is fused or left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from facebench.harness.stats.arrays import FloatArray

if TYPE_CHECKING:
    from onnx import ModelProto

# What the wrapped graph's input and output are called.
IMAGE, EMBEDDING = "image", "embedding"


def answers(model: ModelProto, feed: dict[str, FloatArray]) -> dict[str, FloatArray]:
    """Return all outputs of a graph by their names, from inputs of any shape that it takes.

    Raises:
        Exception: ONNX Runtime's, of a dozen kinds, where the graph does not run.
    """
    return _outputs(_session(model), feed)


def embed(model: ModelProto, images: FloatArray) -> FloatArray:
    """Return embeddings (K, E) of images (K, 3, H, W), one at a time, by a wrapped graph."""
    session = _session(model)
    return np.concatenate([_outputs(session, {IMAGE: one[None]})[EMBEDDING] for one in images])


def first_line(error: Exception) -> str:
    """Return the first line of what an error says, or its kind."""
    said = str(error).strip().splitlines()
    return said[0] if said else type(error).__name__


def _session(model: ModelProto) -> object:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _outputs(session: object, feed: dict[str, FloatArray]) -> dict[str, FloatArray]:
    names = [output.name for output in session.get_outputs()]  # type: ignore[attr-defined]
    return dict(zip(names, session.run(names, feed), strict=True))  # type: ignore[attr-defined]
