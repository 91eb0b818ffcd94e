"""Provides OpenVINO on the CPU, for latency; an optional extra."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from facebench.architectures.errors import RefusedError, UnavailableError
from facebench.harness.machine.environment import version
from facebench.harness.machine.processes import dying_with_parent, python_module
from facebench.harness.models.export import Exported
from facebench.harness.models.quantize import Quantizer
from facebench.harness.runtimes.registry import RUNTIMES, Artifact, Infer, Runtime
from facebench.harness.stats.arrays import FloatArray
from facebench.harness.storage import fingerprints

_INSTALL = "pip install '.[openvino]'"
_QUANTIZER = "facebench.harness.runtimes.openvino_quantize"

# Of a network in int8: the folder, and in it the graph; its weights lie beside it.
QUANTIZED, GRAPH = "openvino", "network.xml"

# What the quantizer is given and gives: images (N, 3, H, W) and embeddings (N, E).
IMAGES, EMBEDDINGS = "images.npy", "embeddings.npy"

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


def compiled(path: Path, threads: int) -> Any:
    """Return the model of a file, or of a folder in int8, compiled for so many threads."""
    # In tiles of AMX, grouped convolutions of int8 answer wrongly or fail (2026.4 on a Xeon).
    os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_VNNI")
    import openvino

    # fp32 is what the case says; by itself OpenVINO takes bfloat16 where the CPU has it.
    options = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    return openvino.Core().compile_model(
        str(path / GRAPH if path.is_dir() else path), "CPU", options
    )


def _open(path: Path, threads: int) -> Infer:
    request = compiled(path, threads).create_infer_request()

    def infer(images: FloatArray) -> FloatArray:
        embeddings: FloatArray = request.infer({0: images})[0]
        return embeddings

    return infer


def _left_wider(path: Path, precision: str) -> tuple[str, ...]:
    """Return the layers of a quantized network that it executes in floating point."""
    if precision != "int8":
        return ()
    layers = [op.get_rt_info() for op in compiled(path, 1).get_runtime_model().get_ops()]
    kinds = Counter(
        str(facts["layerType"].value)
        for facts in layers
        if str(facts["runtimePrecision"].value) == "f32"
    )
    return tuple(f"{count} {kind}" for kind, count in kinds.most_common() if kind not in _MOVING)


def _prepare(exported: Exported, batch: int, target: str) -> Artifact:
    quantized = exported.folder / QUANTIZED
    return Artifact(quantized if quantized.exists() else exported.onnx)


def _quantize(exported: Exported, images: FloatArray, folder: Path) -> FloatArray:
    """Have NNCF put a network in int8, as `Quantizer.write` does."""
    if importlib.util.find_spec("nncf") is None:
        raise UnavailableError(f"NNCF, which int8 is made by, is not installed: {_INSTALL!r} does")
    with tempfile.TemporaryDirectory() as temporary:
        np.save(Path(temporary) / IMAGES, images)
        command = python_module(_QUANTIZER, str(exported.onnx), temporary, str(folder))
        done = subprocess.run(dying_with_parent(command), capture_output=True, text=True)
        if done.returncode:
            last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no output"]
            raise RefusedError(
                f"{exported.facts()['name']} cannot be quantized by NNCF ({last[0]}): use fp32, "
                "or another runtime"
            )
        embeddings: FloatArray = np.load(Path(temporary) / EMBEDDINGS)
    return embeddings


def _depends_on() -> object:
    return [version(name) for name in ("openvino", "nncf")], fingerprints.code(__name__, _QUANTIZER)


RUNTIMES.add(
    "openvino",
    Runtime(
        "openvino",
        ("openvino",),
        _prepare,
        _open,
        install=_INSTALL,
        # Not fp16: told to compute in f32, it would only read the weights in half.
        precisions=("fp32", "int8"),
        int8=Quantizer(_quantize, _depends_on),
        left_wider=_left_wider,
        flushing="the property CPU_DENORMALS_OPTIMIZATION=True",
    ),
)
