"""Exports a network to the files that runtimes and compilers read.

One folder a network, in the cache: ONNX with batch normalization folded and a
free batch dimension, TorchScript, the unfolded weights, and inputs with
torch's outputs (in double precision) that every artifact made from them is held
against.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from facebench.architectures.errors import BadInputError, WrongAnswerError
from facebench.architectures.registry import Preprocessing
from facebench.harness.machine.environment import version
from facebench.harness.models.networks import Network
from facebench.harness.stats.arrays import FloatArray
from facebench.harness.storage import cache, fingerprints

if TYPE_CHECKING:
    import torch
    from torch import nn

# Relative to the largest element of an embedding.
EXPORT_TOLERANCE = 1e-5
RUNTIME_TOLERANCE = 1e-4

_OPSET = 17
_RANDOM_IMAGES = 4


@dataclass(frozen=True)
class Exported:
    """It is the folder of an exported network.

    Example:
        exported = export(networks.resolve("mobilefacenet"))
        session = onnxruntime.InferenceSession(exported.onnx)
    """

    folder: Path

    @property
    def onnx(self) -> Path:
        """Return the ONNX file: BN folded, `image` (N, 3, H, W) to `embedding` (N, E), opset 17."""
        return self.folder / "network.onnx"

    @property
    def torchscript(self) -> Path:
        """Return the TorchScript file: BN folded, traced at batch 1, not frozen."""
        return self.folder / "network.pt"

    def reference(self) -> tuple[FloatArray, FloatArray]:
        """Return inputs `(K, 3, H, W)`, random and extreme, and torch's outputs `(K, E)`."""
        with np.load(self.folder / "reference.npz", allow_pickle=False) as arrays:
            return arrays["inputs"], arrays["outputs"]

    def facts(self) -> dict[str, Any]:
        """Return what the folder was made from: `name`, `weights`, `denormal_weights`, and more."""
        facts: dict[str, Any] = json.loads((self.folder / "facts.json").read_text())
        return facts

    def module(self) -> nn.Module:
        """Return the network as trained, BN not folded: what torch runs eagerly."""
        facts = self.facts()
        if facts["source"]:
            path = self.folder / facts["source"]
            return Network(facts["name"], facts["weights"], path).module()
        return Network(facts["name"], facts["weights"]).module()


def export(network: Network) -> Exported:
    """Export a network, or find it in the cache.

    Raises:
        WrongAnswerError: the ONNX file's outputs differ from torch's by more
            than 1e-5 of their largest element.
        BadInputError: the weights do not fit, or the cache can't be written.
    """
    return Exported(cache.entry("export", key(network), lambda folder: _write(network, folder)))


def find(network: Network) -> Exported | None:
    """Return the exported network, where the cache holds it."""
    folder = cache.find("export", key(network))
    return None if folder is None else Exported(folder)


def key(network: Network) -> str:
    """Hash of all that an exported network depends on."""
    return cache.digest(
        network.name,
        network.weights,
        network.preprocessing and asdict(network.preprocessing),
        network.source,
        fingerprints.code(__name__, network.module_name),
        {name: version(name) for name in ("torch", "onnx", "onnxruntime", "onnx2torch", "timm")},
    )


def relative_error(outputs: FloatArray, expected: FloatArray) -> float:
    """Return the largest difference over the largest element expected, both in absolute value.

    Args:
        outputs: of any shape.
        expected: of the same shape.

    Returns:
        0 or more; infinite where the shapes differ or an output is not finite.
    """
    if outputs.shape != expected.shape or not np.isfinite(outputs).all():
        return float("inf")
    scale = float(np.abs(expected).max())
    return float(np.abs(outputs - expected).max()) / scale if scale else float("inf")


def reference_inputs(
    input_size: tuple[int, int], preprocessing: Preprocessing, seed: int = 0
) -> FloatArray:
    """Return inputs (K, 3, H, W): images of random pixels, then black, white, a half and a
    checkerboard.

    The extremes are those that 8-bit pixels can reach.
    """
    height, width = input_size
    random = np.random.default_rng(seed).integers(0, 256, (_RANDOM_IMAGES, 3, height, width))
    rows, columns = np.indices((height, width))
    patterns = [
        np.zeros((height, width)),
        np.full((height, width), 255),
        np.where(columns < width // 2, 0, 255),
        (rows + columns) % 2 * 255,
    ]
    extremes = np.stack([np.broadcast_to(p, (3, height, width)) for p in patterns])
    pixels = np.concatenate([random, extremes]).astype(np.float32)
    mean = np.asarray(preprocessing.mean, np.float32).reshape(1, 3, 1, 1)
    scale = np.asarray(preprocessing.scale, np.float32).reshape(1, 3, 1, 1)
    return np.ascontiguousarray((pixels - mean) / scale)


def _write(network: Network, folder: Path) -> None:
    import torch

    from facebench.harness.models.bn_folding import fold_batch_norm

    architecture = network.architecture()
    module = network.module()
    inputs = reference_inputs(architecture.input_size, architecture.preprocessing)
    source = ""
    if network.path is not None:
        source = f"source{network.path.suffix}"
        (folder / source).write_bytes(network.path.read_bytes())
    with torch.no_grad(), _one_thread():
        folded = fold_batch_norm(module, architecture.input_size)
        outputs = _reference_outputs(module, inputs)
        _write_torchscript(folded, inputs, folder / "network.pt")
        _write_onnx(folded, inputs, folder / "network.onnx")
    np.savez(folder / "reference.npz", inputs=inputs, outputs=outputs)
    facts = {
        "name": network.name,
        "weights": network.weights,
        "source": source,
        "input_size": architecture.input_size,
        "embedding_size": architecture.embedding_size,
        "preprocessing": asdict(architecture.preprocessing),
        "denormal_weights": _denormal_share(folded),
        "architecture": network.facts(),
        "opset": _OPSET,
        "output_error": _onnx_error(network.name, folder / "network.onnx", inputs, outputs),
    }
    (folder / "facts.json").write_text(json.dumps(facts, indent=1))


def _reference_outputs(module: nn.Module, inputs: FloatArray) -> FloatArray:
    """Torch's outputs in double precision: rounding of its own in fp32 would count twice."""
    import torch

    exact = copy.deepcopy(module).double()
    # One image at a time: an ONNX file of a user may hold a fixed batch.
    outputs = [exact(image[None]) for image in torch.from_numpy(inputs).double()]
    embeddings: FloatArray = torch.cat(outputs).float().numpy()
    return embeddings


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Small work that shares the cores with other exports is slower on more threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _write_torchscript(folded: nn.Module, inputs: FloatArray, path: Path) -> None:
    import torch

    with warnings.catch_warnings():
        # pnnx reads TorchScript alone, whatever its future in torch.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(folded, torch.from_numpy(inputs[:1]))  # type: ignore[no-untyped-call]
        # Where a disk is full, torch's own writing of files ends the process.
        made = io.BytesIO()
        torch.jit.save(traced, made)
    path.write_bytes(made.getvalue())


def _write_onnx(folded: nn.Module, inputs: FloatArray, path: Path) -> None:
    """Export by the TorchScript exporter: 0.2 s a network where the newer one takes 6."""
    import torch

    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                folded,
                (torch.from_numpy(inputs[:1]),),
                buffer,  # type: ignore[arg-type]  # the TorchScript exporter takes it
                dynamo=False,
                opset_version=_OPSET,
                input_names=["image"],
                output_names=["embedding"],
                dynamic_axes={"image": {0: "batch"}, "embedding": {0: "batch"}},
            )
        except Exception as error:  # of a network's own operators it raises a dozen kinds
            said = str(error).strip().partition("  [Caused")[0].splitlines() or [""]
            raise BadInputError(
                f"it cannot be exported to ONNX ({type(error).__name__}: {said[0]}): use "
                f"operators that opset {_OPSET} has, with shapes that do not depend on data"
            ) from error
    path.write_bytes(buffer.getvalue())


def _onnx_error(name: str, path: Path, inputs: FloatArray, outputs: FloatArray) -> float:
    import onnx
    import onnxruntime

    onnx.checker.check_model(str(path), full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    answers = [session.run(None, {"image": image[None]})[0] for image in inputs]
    error = relative_error(np.concatenate(answers), outputs)
    if error > EXPORT_TOLERANCE:
        raise WrongAnswerError(
            f"the ONNX file of {name} differs from torch by {error:.1e} of the largest element "
            f"(at most {EXPORT_TOLERANCE:.0e} is allowed); report it, it is a defect of the export"
        )
    return error


def _denormal_share(module: nn.Module) -> float:
    """Share of weights that are denormal: some kernels are several times slower on them."""
    import torch

    tiny = torch.finfo(torch.float32).tiny
    weights: list[torch.Tensor] = [p.detach().abs().flatten() for p in module.parameters()]
    joined = torch.cat(weights)
    return float(((joined > 0) & (joined < tiny)).double().mean())
