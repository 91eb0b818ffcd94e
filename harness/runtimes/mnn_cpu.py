"""Provides MNN on the CPU; an optional extra.

Its converter is called in the module that does the work: the scripts around it, `mnnconvert` and
`MNN.tools`, install packages by themselves and report each conversion to a server.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from facebench.architectures.errors import BadInputError, WrongAnswerError
from facebench.harness.machine.environment import version
from facebench.harness.models.export import Exported
from facebench.harness.runtimes.registry import RUNTIMES, Artifact, Infer, Runtime
from facebench.harness.stats.arrays import FloatArray
from facebench.harness.storage import cache, fingerprints

_FILE = "network.mnn"
_CONVERT = "import sys, _tools; sys.exit(_tools.mnnconvert(sys.argv))"


def _prepare(exported: Exported, batch: int, target: str) -> Artifact:
    key = cache.digest(
        cache.file_digest(exported.onnx), version("mnn"), fingerprints.code(__name__)
    )
    folder = cache.entry("mnn", key, lambda made: _convert(exported.onnx, made))
    return Artifact(folder / _FILE)


def _convert(onnx: Path, folder: Path) -> None:
    options: list[str | Path] = ["-f", "ONNX", "--modelFile", onnx, "--MNNModel", folder / _FILE]
    done = subprocess.run(
        [sys.executable, "-P", "-c", _CONVERT, *options, "--bizCode", "facebench"],
        capture_output=True,
        text=True,
    )
    if not (folder / _FILE).exists():
        said = [line for line in done.stdout.splitlines() if "rror" in line] or ["no output"]
        raise BadInputError(
            f"MNN cannot convert this network ({said[-1].strip()}): time it in another runtime, "
            "such as onnxruntime"
        )


def _open(path: Path, threads: int) -> Infer:
    mnn = _imported()
    # On ARM it takes half precision where it is not told otherwise.
    options = {"backend": "CPU", "numThread": threads, "precision": "high"}
    with _silence():
        interpreter = mnn.Interpreter(str(path))
        session = interpreter.createSession(options)
    image = interpreter.getSessionInput(session)

    def tensor(values: FloatArray) -> Any:
        kind, order = mnn.Halide_Type_Float, mnn.Tensor_DimensionType_Caffe
        return mnn.Tensor(values.shape, kind, np.ascontiguousarray(values), order)

    def infer(images: FloatArray) -> FloatArray:
        if tuple(image.getShape()) != images.shape:
            interpreter.resizeTensor(image, images.shape)
            interpreter.resizeSession(session)
        image.copyFrom(tensor(images))
        if status := interpreter.runSession(session):
            raise WrongAnswerError(f"MNN failed to run {path} (status {status})")
        embedding = interpreter.getSessionOutput(session)
        found = np.empty(embedding.getShape(), np.float32)
        held = tensor(found)
        embedding.copyToHostTensor(held)
        return np.array(held.getNumpyData(), np.float32).reshape(found.shape)

    return infer


def _imported() -> Any:
    with _silence():
        return importlib.import_module("MNN")


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep what MNN says of the CPU off standard output, where answers go."""
    sys.stdout.flush()
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


RUNTIMES.add(
    "mnn",
    Runtime(
        "mnn",
        ("mnn",),
        _prepare,
        _open,
        install="pip install '.[mnn]'",
        converts=True,
        importing=_imported,
    ),
)
