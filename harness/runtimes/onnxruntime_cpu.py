"""ONNX Runtime with its default CPU kernels and every graph optimization."""

from __future__ import annotations

from pathlib import Path

from harness.export import FloatArray
from harness.runtimes.registry import RUNTIMES, Artifact, Runtime, Session


def _open(path: Path, threads: int) -> Session:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def infer(images: FloatArray) -> FloatArray:
        embeddings: FloatArray = session.run(None, {"image": images})[0]
        return embeddings

    return infer


RUNTIMES.add(
    "onnxruntime",
    Runtime(
        "onnxruntime",
        ("onnxruntime",),
        lambda exported, batch, target: Artifact(exported.onnx),
        _open,
        # On x86 most of its kernels take no half precision: they compute fp16 in single.
        precisions=("fp32", "fp16", "int8"),
    ),
)
