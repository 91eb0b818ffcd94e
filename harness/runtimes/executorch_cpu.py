"""Provides ExecuTorch, PyTorch's runtime for phones, with XNNPACK; an optional extra."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import subprocess
import tempfile
import weakref
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from facebench.architectures.errors import RefusedError
from facebench.harness.machine.environment import version
from facebench.harness.machine.processes import dying_with_parent, python_module
from facebench.harness.models.export import Exported
from facebench.harness.models.quantize import Quantizer
from facebench.harness.runtimes.executorch_export import (
    EMBEDDINGS,
    FLOATING,
    IMAGES,
    OUTSIDE,
    PROGRAM,
    QUANTIZED,
    REFUSED,
)
from facebench.harness.runtimes.registry import RUNTIMES, Artifact, Infer, Runtime
from facebench.harness.stats.arrays import FloatArray
from facebench.harness.storage import cache, fingerprints

_EXPORTER = "facebench.harness.runtimes.executorch_export"


# Of this process: they crash once the threads that they work with are exchanged for others.
_open_programs: weakref.WeakSet[Any] = weakref.WeakSet()


def _prepare(exported: Exported, batch: int, target: str) -> Artifact:
    folder = exported.folder
    if batch > 1 or not (folder / PROGRAM).exists():  # the quantizer makes one, for one image
        key = cache.digest(cache.file_digest(_source(exported)), batch, _depends_on())
        folder = cache.entry(
            "executorch", key, lambda made: _run(exported, "export", str(batch), str(made))
        )
    outside = json.loads((folder / OUTSIDE).read_text())
    return Artifact(folder / PROGRAM, f"not delegated: {', '.join(outside)}" if outside else "")


def _left_wider(program: Path, precision: str) -> tuple[str, ...]:
    """Return what a program in int8 computes in floating point, within XNNPACK and outside."""
    if precision != "int8":
        return ()
    kinds = Counter(json.loads((program.parent / FLOATING).read_text()))
    return tuple(f"{count} {kind}" for kind, count in kinds.most_common() if "quant" not in kind)


def _source(exported: Exported) -> Path:
    """Return the file that holds all of a network that a program is made of."""
    if (quantized := exported.folder / QUANTIZED).exists():
        return quantized
    return exported.onnx if exported.from_onnx else exported.torchscript


def _depends_on() -> object:
    packages = ("executorch", "torch", "torchao", "onnx", "onnx2torch")
    return [version(name) for name in packages], fingerprints.code(__name__, _EXPORTER)


def _quantize(exported: Exported, images: FloatArray, folder: Path) -> FloatArray:
    with tempfile.TemporaryDirectory() as temporary:
        np.save(Path(temporary) / IMAGES, images)
        _run(exported, "quantize", temporary, str(folder))
        embeddings: FloatArray = np.load(Path(temporary) / EMBEDDINGS)
    return embeddings


def _run(exported: Exported, *arguments: str) -> None:
    """Have the exporter do something in a process of its own.

    It leaves hundreds of megabytes and threads behind where it ran, and writes to standard error.
    """
    command = python_module(_EXPORTER, str(exported.folder), *arguments)
    done = subprocess.run(dying_with_parent(command), capture_output=True, text=True)
    if done.returncode == REFUSED:
        raise RefusedError(done.stderr.strip().splitlines()[-1])
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no output"]
        raise RefusedError(
            f"{exported.facts()['name']} cannot be converted to ExecuTorch ({last[0]}): use "
            "another runtime, such as onnxruntime"
        )


def _import() -> Any:
    """Return ExecuTorch's runtime; `executorch.runtime` would import its exporter, in seconds."""
    for needed in ("torch", "executorch.kernels.quantized"):  # shared libraries, and operators
        importlib.import_module(needed)
    return importlib.import_module("executorch.extension.pybindings._C")


def _open(path: Path, threads: int) -> Infer:
    import torch

    with contextlib.redirect_stderr(io.StringIO()):  # it says what it sets, and where it looks
        engine = _import()
        _use(engine, threads)
        loaded = engine._load_for_executorch(
            str(path), program_verification=engine.Verification.Minimal
        )

    _open_programs.add(loaded)

    def infer(images: FloatArray) -> FloatArray:
        embeddings: FloatArray = loaded.forward((torch.from_numpy(images),))[0].numpy()
        return embeddings

    return infer


def _use(engine: Any, threads: int) -> None:
    """Have the process's one pool of threads be of so many, the calling one among them.

    Raises:
        RefusedError: it cannot be of as many, or a program that is open works with another pool.
    """
    if _open_programs and engine._threadpool_get_thread_count() != threads:
        raise RefusedError(
            "ExecuTorch has one pool of threads for a process, and a program that is open works "
            f"with another than {threads}: close it first"
        )
    engine._unsafe_reset_threadpool(threads)
    if (found := engine._threadpool_get_thread_count()) != threads:
        raise RefusedError(
            f"ExecuTorch runs on {found} threads here where {threads} are asked: use --threads "
            f"{found}"
        )


RUNTIMES.add(
    "executorch",
    Runtime(
        "executorch",
        ("executorch",),
        _prepare,
        _open,
        install="pip install '.[executorch]'",
        int8=Quantizer(_quantize, _depends_on),
        left_wider=_left_wider,
        flushes=True,
        converts=True,
        importing=_import,
        survives_fork=True,
    ),
)
