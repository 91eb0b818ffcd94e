"""Provides LiteRT on the CPU with its default delegate, XNNPACK; an optional extra."""

from __future__ import annotations

import importlib
from pathlib import Path

from facebench.architectures.errors import RefusedError
from facebench.harness.machine.environment import version
from facebench.harness.models.export import Exported
from facebench.harness.models.tflite_network import calling
from facebench.harness.runtimes.litert.own_file import open_own
from facebench.harness.runtimes.registry import RUNTIMES, Artifact, Infer, OwnHalfPrecision, Runtime
from facebench.harness.stats.arrays import FloatArray
from facebench.harness.storage import cache, fingerprints

_FILE = "network.tflite"

# How far answers in half precision may be off, relative to the largest element. XNNPACK rounds
# sums after each addition: MobileNetV1 with random weights is off by 0.031.
_HALF_TOLERANCE = 6e-2

# Operators that only move what they are given, or change its precision.
_MOVING = ("CONCATENATION", "DEQUANTIZE", "RESHAPE", "SLICE", "SPLIT", "TRANSPOSE")


def _prepare(exported: Exported, batch: int, target: str) -> Artifact:
    if exported.tflite is not None:
        return _own(exported, exported.tflite)
    return _converted(exported, batch)


def _prepare_half(exported: Exported, batch: int, target: str) -> Artifact:
    return _converted(exported, batch, half=True)


def _converted(exported: Exported, batch: int, half: bool = False) -> Artifact:
    key = cache.digest(
        cache.file_digest(exported.onnx),
        batch,
        half,
        [version(name) for name in ("ai-edge-litert", "onnx", "onnxruntime")],
        fingerprints.code(__name__),
    )
    folder = cache.entry("litert", key, lambda made: _convert(exported, batch, half, made))
    return Artifact(folder / _FILE)


def _own(exported: Exported, folder: Path) -> Artifact:
    if graph := calling.read(folder).graph:
        raise RefusedError(
            f"{exported.facts()['name']} is graph {graph} of its file, and runtime litert opens "
            "the first alone: use another runtime, such as onnxruntime"
        )
    return Artifact(folder)


def _convert(exported: Exported, batch: int, half: bool, folder: Path) -> None:
    import onnx

    from facebench.harness.models.onnx_network.plain import plain
    from facebench.harness.runtimes.litert.convert import convert

    (folder / _FILE).write_bytes(convert(plain(onnx.load(exported.onnx), batch), half))


def _open(path: Path, threads: int) -> Infer:
    from ai_edge_litert.interpreter import Interpreter

    if path.is_dir():
        return open_own(path, threads)
    interpreter = Interpreter(str(path), num_threads=threads)
    interpreter.allocate_tensors()
    (image,), (embedding,) = interpreter.get_input_details(), interpreter.get_output_details()
    given = interpreter.tensor(image["index"])

    def infer(images: FloatArray) -> FloatArray:
        # LiteRT has channels last. To turn the images is a part of the time, as in other runtimes,
        # and quickest by channels: 18 µs where the operator takes 23.
        for channel in range(images.shape[1]):
            given()[..., channel] = images[:, channel]
        interpreter.invoke()
        embeddings: FloatArray = interpreter.get_tensor(embedding["index"])
        return embeddings

    return infer


def _left_wider(path: Path, precision: str) -> tuple[str, ...]:
    """Return the operators of a quantized network that compute in single precision."""
    if precision != "int8":
        return ()
    from facebench.harness.runtimes.litert.flatbuffer import computed_in_float

    file = path / calling.FILE if path.is_dir() else path
    kinds = computed_in_float(file.read_bytes()).most_common()
    return tuple(f"{count} {kind}" for kind, count in kinds if kind not in _MOVING)


RUNTIMES.add(
    "litert",
    Runtime(
        "litert",
        ("ai-edge-litert",),
        _prepare,
        _open,
        install="pip install '.[litert]'",
        tflite=True,
        flushes=True,
        precisions=("fp32", "int8"),
        half=OwnHalfPrecision("fullfp16", _prepare_half, _HALF_TOLERANCE),
        left_wider=_left_wider,
        importing=lambda: importlib.import_module("ai_edge_litert.interpreter"),
    ),
)
