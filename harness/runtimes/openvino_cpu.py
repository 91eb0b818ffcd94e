"""Provides OpenVINO on the CPU, for latency; an optional extra."""

from __future__ import annotations

import os
from pathlib import Path

from facebench.harness.runtimes.registry import RUNTIMES, Artifact, Infer, Runtime
from facebench.harness.stats.arrays import FloatArray


def _open(path: Path, threads: int) -> Infer:
    # In tiles of AMX, grouped convolutions of int8 answer wrongly or fail (2026.4 on a Xeon).
    os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_VNNI")
    import openvino

    core = openvino.Core()
    # fp32 is what the case says; by itself OpenVINO takes bfloat16 where the CPU has it.
    options = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    request = core.compile_model(str(path), "CPU", options).create_infer_request()

    def infer(images: FloatArray) -> FloatArray:
        embeddings: FloatArray = request.infer({0: images})[0]
        return embeddings

    return infer


RUNTIMES.add(
    "openvino",
    Runtime(
        "openvino",
        ("openvino",),
        lambda exported, batch, target: Artifact(exported.onnx),
        _open,
        install="pip install '.[openvino]'",
        # Not fp16: told to compute in f32, it would only read the weights in half.
        precisions=("fp32", "int8"),
        flushing="the property CPU_DENORMALS_OPTIMIZATION=True",
    ),
)
