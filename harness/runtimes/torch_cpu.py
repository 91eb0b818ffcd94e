"""PyTorch on the CPU: eager as a network is trained, and frozen as it is deployed."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from facebench.harness.machine import flushing
from facebench.harness.machine.environment import version
from facebench.harness.models.export import Exported, write_torchscript
from facebench.harness.runtimes.registry import RUNTIMES, Artifact, Infer, Runtime
from facebench.harness.stats.arrays import FloatArray
from facebench.harness.storage import cache, fingerprints

if TYPE_CHECKING:
    from torch import nn


def _eager(folder: Path, threads: int) -> Infer:
    mode = flushing.mode()
    module = Exported(folder).module()
    if mode == flushing.FLUSHED:
        flushing.switch(mode)  # ONNX Runtime, which a user's file is held against, changes it
    return _session(module, threads)


def _traced(exported: Exported, batch: int, target: str) -> Artifact:
    """Return the TorchScript file: of a user's ONNX file it is made here, where that goes."""
    if not exported.from_onnx:
        return Artifact(exported.torchscript)
    key = cache.digest(
        cache.file_digest(exported.onnx),
        [version(name) for name in ("torch", "onnx", "onnx2torch", "onnxruntime")],
        fingerprints.code(__name__, "facebench.harness.models.onnx_network.in_torch"),
    )
    folder = cache.entry("torchscript", key, lambda made: write_torchscript(exported, made))
    return Artifact(folder / "network.pt")


def _frozen(path: Path, threads: int) -> Infer:
    import torch

    _use(threads)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, and still the fastest here
        loaded = torch.jit.load(path).eval()  # type: ignore[no-untyped-call]
        module = torch.jit.optimize_for_inference(torch.jit.freeze(loaded))
    return _session(module, threads)


def _session(module: nn.Module, threads: int) -> Infer:
    import torch

    _use(threads)

    def infer(images: FloatArray) -> FloatArray:
        with torch.inference_mode():
            embeddings: FloatArray = module(torch.from_numpy(images)).numpy()
            return embeddings

    return infer


def _use(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


_FLUSHING = "torch.set_flush_denormal(True), before the first inference"

RUNTIMES.add(
    "torch",
    Runtime(
        "torch",
        ("torch",),
        lambda exported, batch, target: Artifact(exported.folder),
        _eager,
        flushing=_FLUSHING,
        survives_fork=True,
    ),
)
RUNTIMES.add(
    "torch_frozen",
    Runtime(
        "torch_frozen",
        ("torch",),
        _traced,
        _frozen,
        flushing=_FLUSHING,
        survives_fork=True,
    ),
)
