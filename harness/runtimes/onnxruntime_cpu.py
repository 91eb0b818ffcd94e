"""Provides ONNX Runtime with its default CPU kernels and every graph optimization."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

from facebench.harness.machine import flushing
from facebench.harness.runtimes.registry import RUNTIMES, Artifact, Infer, Runtime
from facebench.harness.stats.arrays import FloatArray

# Operators that compute on integers, and those that only move what they are given.
_INTEGER = ("QLinear", "QGemm", "MatMulInteger", "ConvInteger", "QuantizeLinear", "Dequantize")
_MOVING = ("Reshape", "Flatten", "Transpose", "Concat", "Split", "Slice", "Squeeze", "Unsqueeze")


def _open(path: Path, threads: int) -> Infer:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    mode = flushing.mode()
    if mode == flushing.FLUSHED:
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    if mode == flushing.FLUSHED:
        # Only the first session of a process sets the thread that opens it; and it is set to
        # keep them where that session has no such option.
        flushing.switch(mode)

    def infer(images: FloatArray) -> FloatArray:
        embeddings: FloatArray = session.run(None, {"image": images})[0]
        return embeddings

    return infer


def _left_wider(path: Path, precision: str) -> tuple[str, ...]:
    """Return what its graph optimizations leave in floating point of a quantized network."""
    import onnx
    import onnxruntime

    if precision != "int8":
        return ()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # it warns that the file is for this machine alone
    with tempfile.TemporaryDirectory() as folder:
        optimized = Path(folder) / "optimized.onnx"
        options.optimized_model_filepath = str(optimized)
        onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        kinds = Counter(node.op_type for node in onnx.load(optimized).graph.node)
    return tuple(
        f"{count} {kind}"
        for kind, count in kinds.most_common()
        if not kind.startswith(_INTEGER) and kind not in _MOVING
    )


RUNTIMES.add(
    "onnxruntime",
    Runtime(
        "onnxruntime",
        ("onnxruntime",),
        lambda exported, batch, target: Artifact(exported.onnx),
        _open,
        # On x86 most of its kernels take no half precision: they compute fp16 in single.
        precisions=("fp32", "fp16", "int8"),
        left_wider=_left_wider,
        flushing="the session option session.set_denormal_as_zero=1, in its first session",
    ),
)
