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
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from facebench.architectures.errors import BadInputError, WrongAnswerError
from facebench.architectures.registry import Architecture
from facebench.harness.machine.environment import version
from facebench.harness.models import answers, kept_modules
from facebench.harness.models.networks import Network
from facebench.harness.stats.arrays import FloatArray
from facebench.harness.storage import cache, fingerprints

if TYPE_CHECKING:
    import torch
    from torch import nn

_OPSET = 17


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
        """Return the ONNX file: `image` (N, 3, H, W) to `embedding` (N, E).

        Of a network of torch BN is folded and the opset is 17; of a user's file the graph is the
        user's own, wrapped.
        """
        return self.folder / "network.onnx"

    @property
    def torchscript(self) -> Path:
        """Return the TorchScript file of a network of torch: BN folded, traced at batch 1."""
        return self.folder / "network.pt"

    @property
    def tflite(self) -> Path | None:
        """Return the folder of the user's own TFLite file, where the network is one."""
        folder = self.folder / "tflite"
        return folder if folder.is_dir() else None

    @property
    def from_onnx(self) -> bool:
        """Say whether the network is a user's graph, of which there is no TorchScript."""
        return bool(self.facts()["from_onnx"])

    def reference(self) -> tuple[FloatArray, FloatArray]:
        """Return inputs `(K, 3, H, W)`, random and extreme, and outputs `(K, E)`, worked
        out in double precision.
        """
        with np.load(self.folder / "reference.npz", allow_pickle=False) as arrays:
            return arrays["inputs"], arrays["outputs"]

    def facts(self) -> dict[str, Any]:
        """Return what the folder was made from: `name`, `weights`, `denormal_weights`, and more."""
        facts: dict[str, Any] = json.loads((self.folder / "facts.json").read_text())
        return facts

    def module(self) -> nn.Module:
        """Return the network as trained, BN not folded: what torch runs eagerly.

        Raises:
            RefusedError: it is a user's graph that cannot be converted to torch.
            BadInputError: it is a user's module that is in no cache here.
        """
        facts = self.facts()
        if facts["from_onnx"]:
            import onnx

            from facebench.harness.models.onnx_network import in_torch

            return in_torch.module(onnx.load(self.onnx), facts["name"])
        if "kept_module" in facts:
            return kept_modules.load(facts["kept_module"])
        return Network(facts["name"], facts["weights"], self.folder / facts["source"]).module()


def export(network: Network) -> Exported:
    """Export a network, or find it in the cache.

    Raises:
        WrongAnswerError: the ONNX file's outputs differ from those of double precision by more
            than rounding explains.
        BadInputError: the weights do not fit, the network's own answers are none, or the cache
            can't be written.
    """
    return Exported(cache.entry("export", key(network), lambda folder: _write(network, folder)))


def write_torchscript(exported: Exported, folder: Path) -> None:
    """Write `network.pt` of a user's graph, BN folded as far as torch has it.

    Raises:
        RefusedError: it cannot be converted to torch.
    """
    import torch

    from facebench.harness.models.bn_folding import fold_batch_norm

    inputs, _ = exported.reference()
    with torch.no_grad(), _one_thread():
        _write_torchscript(fold_batch_norm(exported.module()), inputs, folder / "network.pt")


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
        network.size,
        network.output,
        fingerprints.code(__name__, network.module_name),
        {name: version(name) for name in ("torch", "onnx", "onnxruntime", "onnx2torch", "timm")},
    )


def _write(network: Network, folder: Path) -> None:
    architecture = network.architecture()
    facts = {
        "name": network.name,
        "weights": network.weights,
        "input_size": architecture.input_size,
        "embedding_size": architecture.embedding_size,
        "preprocessing": asdict(architecture.preprocessing),
        "architecture": network.facts(),
    }
    if network.is_graph:
        from facebench.harness.models.onnx_network import exporting
        from facebench.harness.models.tflite_network import calling

        own, pixels = network.loaded(), architecture.preprocessing
        facts |= exporting.write(own, network.name, pixels, folder)
        if network.is_tflite:
            calling.write(own, network.output, pixels.channels, folder / "tflite")
    else:
        facts |= _write_module(network, architecture, folder)
    (folder / "facts.json").write_text(json.dumps(facts, indent=1))


def _write_module(network: Network, architecture: Architecture, folder: Path) -> dict[str, Any]:
    import torch

    from facebench.harness.models.bn_folding import fold_batch_norm

    module = network.module()
    inputs = answers.reference_inputs(architecture.input_size, architecture.preprocessing)
    source = _keep_source(network, module, folder)
    with torch.no_grad(), _one_thread():
        folded = fold_batch_norm(module, architecture.input_size)
        outputs, rounding = _reference_outputs(module, inputs)
        answers.require_answers(network.name, outputs)
        answers.require_rounding(network.name, rounding)
        _write_torchscript(folded, inputs, folder / "network.pt")
        onnx_file = onnx_bytes(folded, torch.from_numpy(inputs[:1]))
    (folder / "network.onnx").write_bytes(onnx_file)
    np.savez(folder / "reference.npz", inputs=inputs, outputs=outputs)
    path = folder / "network.onnx"
    return source | {
        "denormal_weights": _denormal_share(folded),
        "opset": _OPSET,
        "rounding": rounding,
        "precision": "fp32",
        "batch": 0,
        "from_onnx": False,
        "output_error": _onnx_error(network.name, path, inputs, outputs, rounding),
    }


def _keep_source(network: Network, module: nn.Module, folder: Path) -> dict[str, Any]:
    """Keep what the network as trained is made of again; return where."""
    import torch

    if network.is_module:  # which no folder holds that a store may serve
        return {"kept_module": network.source}
    if network.path is None:  # to draw them again takes a process seconds
        source = "source.pth"
        (folder / source).write_bytes(_saved(torch.save, module.state_dict()))
    else:
        source = f"source{network.path.suffix}"
        (folder / source).write_bytes(network.path.read_bytes())
    return {"source": source}


def _reference_outputs(module: nn.Module, inputs: FloatArray) -> tuple[FloatArray, float]:
    """Return outputs in double precision, and how far off them single precision is."""
    import torch

    exact = copy.deepcopy(module).double()
    images = torch.from_numpy(inputs)
    outputs: FloatArray = torch.cat([exact(one[None].double()) for one in images]).float().numpy()
    own: FloatArray = torch.cat([module(one[None]) for one in images]).numpy()
    return outputs, answers.relative_error(own, outputs)


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
        # What runs it is held against the reference; torch's own check would take as long again.
        traced = torch.jit.trace(folded, torch.from_numpy(inputs[:1]), check_trace=False)  # type: ignore[no-untyped-call]
    path.write_bytes(_saved(torch.jit.save, traced))


def _saved(save: Callable[[Any, io.BytesIO], object], what: Any) -> bytes:
    """Return what torch saves: where a disk is full, its own writing of files ends the process."""
    made = io.BytesIO()
    save(what, made)
    return made.getvalue()


def onnx_bytes(module: nn.Module, image: torch.Tensor) -> bytes:
    """Return a module as an ONNX file, by the TorchScript exporter: 0.2 s where the newer takes 6.

    Args:
        module: in evaluation mode.
        image: one that it takes, `(1, 3, H, W)`.

    Raises:
        BadInputError: the module has an operator that ONNX has not.
    """
    import torch

    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                module,
                (image,),
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
    return buffer.getvalue()


def _onnx_error(
    name: str, path: Path, inputs: FloatArray, outputs: FloatArray, rounding: float
) -> float:
    import onnx
    import onnxruntime

    onnx.checker.check_model(str(path), full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = [session.run(None, {"image": image[None]})[0] for image in inputs]
    error = answers.relative_error(np.concatenate(found), outputs)
    most = answers.tolerance(answers.EXPORT_TOLERANCE, rounding)
    # What ONNX Runtime's own kernels are off is no defect of the file, and it is held to that.
    if error > most and not _right_by_definition(path, inputs, outputs):
        raise WrongAnswerError(
            f"the ONNX file of {name} differs from torch by {error:.1e} of the largest element "
            f"(rounding explains {most:.0e}); report it, it is a defect of the export"
        )
    return error


def _right_by_definition(path: Path, inputs: FloatArray, outputs: FloatArray) -> bool:
    """Return whether a file's operators, as ONNX defines them, give what torch gives.

    Args:
        path: of the ONNX file.
        inputs: images (K, 3, H, W).
        outputs: of torch in double precision (K, E).
    """
    import onnx

    from facebench.harness.models.onnx_network import interface, reference

    model = onnx.load(path)
    try:
        found = reference.outputs(model, interface.find(model, path.name), inputs, exact=True)
    except Exception:  # an operator that `onnx.reference` has not, which raises a dozen kinds
        return False
    return answers.relative_error(found, outputs) <= answers.EXPORT_TOLERANCE


def _denormal_share(module: nn.Module) -> float:
    """Share of weights that are denormal: some kernels are several times slower on them."""
    import torch

    tiny = torch.finfo(torch.float32).tiny
    weights: list[torch.Tensor] = [p.detach().abs().flatten() for p in module.parameters()]
    if not weights:
        return 0.0
    joined = torch.cat(weights)
    return float(((joined > 0) & (joined < tiny)).double().mean())
