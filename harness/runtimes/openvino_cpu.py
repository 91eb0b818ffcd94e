"""Provides OpenVINO on the CPU, for latency; an optional extra."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

from facebench.harness.runtimes.registry import RUNTIMES, Artifact, Infer, Runtime
from facebench.harness.stats.arrays import FloatArray

# Layers that only move what they are given, or change its precision.
_MOVING = (
    "Input",
    "Output",
    "Const",
    "Reorder",
    "Reshape",
    "Transpose",
    "Convert",
    "Concatenation",
)


def _compiled(path: Path, threads: int) -> Any:
    # In tiles of AMX, grouped convolutions of int8 answer wrongly or fail (2026.4 on a Xeon).
    os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_VNNI")
    import openvino

    # fp32 is what the case says; by itself OpenVINO takes bfloat16 where the CPU has it.
    options = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    return openvino.Core().compile_model(str(path), "CPU", options)


def _open(path: Path, threads: int) -> Infer:
    request = _compiled(path, threads).create_infer_request()

    def infer(images: FloatArray) -> FloatArray:
        embeddings: FloatArray = request.infer({0: images})[0]
        return embeddings

    return infer


def _left_wider(path: Path, precision: str) -> tuple[str, ...]:
    """Return the layers of a quantized network that it executes in floating point."""
    if precision != "int8":
        return ()
    layers = [op.get_rt_info() for op in _compiled(path, 1).get_runtime_model().get_ops()]
    kinds = Counter(
        str(facts["layerType"].value)
        for facts in layers
        if str(facts["runtimePrecision"].value) == "f32"
    )
    return tuple(f"{count} {kind}" for kind, count in kinds.most_common() if kind not in _MOVING)


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
        left_wider=_left_wider,
        flushing="the property CPU_DENORMALS_OPTIMIZATION=True",
    ),
)
