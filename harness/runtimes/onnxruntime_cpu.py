"""Provides ONNX Runtime with its default CPU kernels and every graph optimization."""

from __future__ import annotations

from pathlib import Path

from facebench.harness.machine import flushing
from facebench.harness.runtimes.registry import RUNTIMES, Artifact, Infer, Runtime
from facebench.harness.stats.arrays import FloatArray


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


RUNTIMES.add(
    "onnxruntime",
    Runtime(
        "onnxruntime",
        ("onnxruntime",),
        lambda exported, batch, target: Artifact(exported.onnx),
        _open,
        # On x86 most of its kernels take no half precision: they compute fp16 in single.
        precisions=("fp32", "fp16", "int8"),
        flushing="the session option session.set_denormal_as_zero=1, in its first session",
    ),
)
