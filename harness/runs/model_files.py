"""Writes what a network is exported or compiled to where a user wants it."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from facebench.harness.compiler.build import compile_network
from facebench.harness.compiler.targets import Target
from facebench.harness.models import onnx_facts
from facebench.harness.models.export import export
from facebench.harness.models.networks import Network
from facebench.harness.storage import writing


@dataclass(frozen=True)
class ModelFile:
    """It is a file that was written of a network.

    Attributes:
        network: its name.
        path: of the file.
        facts: what else is known of it: of an ONNX file its opset, input size, preprocessing and
            how far it is from torch; of a library its target, size and seconds to compile.
        target: that it was compiled for; empty of an ONNX file.
    """

    network: str
    path: Path
    facts: dict[str, Any]
    target: str = ""

    def flat(self) -> dict[str, Any]:
        """Return all of it in JSON's types."""
        target = {"target": self.target} if self.target else {}
        return {"network": self.network, **target, "path": str(self.path), **self.facts}


def write_onnx(network: Network, out: Path) -> ModelFile:
    """Export a network, or find it in the cache, and write `NETWORK.onnx`.

    Raises:
        WrongAnswerError: the file's outputs differ from torch's.
        BadInputError: the weights do not fit, or the file can't be written.
    """
    exported = export(network)
    facts = {name: value for name, value in exported.facts().items() if name != "name"}
    path = out / f"{_file_name(network.name)}.onnx"
    writing.write(path, _with_facts(exported.onnx, network, facts))
    return ModelFile(network.name, path, facts)


def write_library(network: Network, target: Target, batch: int, out: Path) -> ModelFile:
    """Compile a network with TVM, or find it in the cache, and write `NETWORK.TARGET.so`.

    Raises:
        WrongAnswerError: the exported file's outputs differ from torch's.
        BadInputError: the weights do not fit, or the file can't be written.
        RefusedError: TVM cannot compile it.
    """
    library = compile_network(export(network), target, batch)
    path = _copy(library.path, out / f"{_file_name(network.name)}.{target.name}.so")
    facts = asdict(library.compilation()) | {"label": library.label}
    return ModelFile(network.name, path, facts, target.name)


def _with_facts(file: Path, network: Network, facts: dict[str, Any]) -> bytes:
    """Return an ONNX file that says what it is, and what its images are to be."""
    import onnx

    model = onnx.load(file)
    onnx_facts.put(
        model,
        {
            onnx_facts.NETWORK: network.name,
            onnx_facts.WEIGHTS: network.weights,
            onnx_facts.PREPROCESSING: json.dumps(facts["preprocessing"]),
        },
    )
    data: bytes = model.SerializeToString()
    return data


def _copy(source: Path, target: Path) -> Path:
    writing.replace(target, lambda made: shutil.copyfile(source, made))
    return target


def _file_name(network: str) -> str:
    """Return the network's name with what a file name cannot hold replaced."""
    return re.sub(r"[^\w.-]+", "_", network)
