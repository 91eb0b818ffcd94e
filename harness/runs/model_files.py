"""Writes what a network is exported or compiled to where a user wants it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from facebench.architectures.errors import BadInputError, RefusedError
from facebench.architectures.registry import Preprocessing
from facebench.harness.compiler.build import Library, compile_integers, compile_network
from facebench.harness.compiler.targets import TARGETS, Target
from facebench.harness.compiler.tvm import import_tvm
from facebench.harness.models import onnx_facts, precision
from facebench.harness.models.export import Exported, export, find
from facebench.harness.models.networks import Network
from facebench.harness.runs import half_precision
from facebench.harness.runs.jobs import FP32, Precision
from facebench.harness.runtimes.registry import RUNTIMES
from facebench.harness.storage import writing
from facebench.harness.verification.datasets.registry import DATASETS, data_root

# What `precision.lower` says of a network in int8 that a library's facts repeat.
_LOWERED = ("calibration", "images", "lowest_cosine", "median_cosine")


@dataclass(frozen=True)
class ModelFile:
    """It is a file that was written of a network.

    Attributes:
        network: its name.
        path: of the file.
        facts: what else is known of it: of an ONNX file its opset, input size, preprocessing and
            how far it is from torch; of a library its precision, size and seconds to compile, and
            of one in int8 how near its embeddings are to those in fp32.
        target: that it was compiled for; empty of an ONNX file.
        doubt: why it may not be fit to ship, in a sentence; empty where nothing speaks against it.
    """

    network: str
    path: Path
    facts: dict[str, Any]
    target: str = ""
    doubt: str = ""

    def flat(self) -> dict[str, Any]:
        """Return all of it in JSON's types."""
        target = {"target": self.target} if self.target else {}
        return {"network": self.network, **target, "path": str(self.path), **self.facts}


def require_apart(networks: Sequence[Network]) -> None:
    """See that no network's file would take the place of another's.

    Raises:
        BadInputError: the names of two differ only in what a file's name cannot hold.
    """
    names: dict[str, str] = {}
    for network in networks:
        other = names.setdefault(_file_name(network.name), network.name)
        if other != network.name:
            raise BadInputError(
                f"{other} and {network.name} would both be written to "
                f"{_file_name(network.name)}: write one of them to another folder"
            )


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


@dataclass(frozen=True)
class LibraryRequest:
    """It says which libraries are wanted of a network: one for each target and precision.

    Attributes:
        targets: to compile for.
        precisions: to compute in.
        batch: images in one inference.
        data: folder of data sets, for int8's calibration.

    Raises:
        RefusedError: a target does not compute in one of the precisions.
    """

    targets: Sequence[Target]
    precisions: Sequence[Precision] = (FP32,)
    batch: int = 1
    data: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be compiled before anything is."""
        for target, how in product(self.targets, self.precisions):
            _require_precision(target, how.name)


def write_libraries(network: Network, request: LibraryRequest, out: Path) -> list[ModelFile]:
    """Compile a network with TVM, or find it in the cache, and write the libraries.

    Their names are `NETWORK.TARGET.so`, and in fewer bits `NETWORK.TARGET.PRECISION.so`.

    Raises:
        WrongAnswerError: the exported file's outputs differ from torch's.
        BadInputError: the weights do not fit, or a file can't be written; or the calibration
            data set is not found.
        RefusedError: TVM cannot compile it, it is in fewer bits already, or its numbers are too
            large for fp16.
    """
    return [
        _write_library(network, target, how, request, out)
        for target, how in product(request.targets, request.precisions)
    ]


def _write_library(
    network: Network, target: Target, how: Precision, request: LibraryRequest, out: Path
) -> ModelFile:
    lowered, library = _compiled(network, target, how, request)
    ending = f"{target.name}.so" if how.name == "fp32" else f"{target.name}.{how.name}.so"
    path = _copy(library.path, out / f"{_file_name(network.name)}.{ending}")
    facts = asdict(library.compilation()) | {"label": library.label, "precision": how.name}
    near = precision.faithful(lowered)
    if near is not None:
        facts |= {name: lowered.facts()["lowered"][name] for name in _LOWERED}
    doubt = f"{path} may be wrong: {near.detail}" if near is not None and not near.passed else ""
    return ModelFile(network.name, path, facts, target.name, doubt)


def _compiled(
    network: Network, target: Target, how: Precision, request: LibraryRequest
) -> tuple[Exported, Library]:
    """Return a network as it was given to the compiler, and what came of it."""
    if how.name != "fp32" and network.precision != "fp32":
        raise RefusedError(
            f"{network.name} is {precision.ALREADY[network.precision]} already: give the fp32 "
            f"file, and --precision {how.name}"
        )
    if find(network) is None:
        import_tvm()  # before torch, whose libraries' symbols it would read
    exported = export(network)
    if how.name != "int8":
        half = how.name == "fp16"
        if half:
            half_precision.require_range(exported)
        return exported, compile_network(exported, target, request.batch, half)
    lowered = precision.lower(
        exported, "int8", lambda: _calibration(exported, how, request.data), RUNTIMES["tvm"].int8
    )
    return lowered, compile_integers(lowered.folder, target, request.batch)


def _require_precision(target: Target, name: str) -> None:
    """See that a target's CPU has the instructions of a precision.

    TVM's half precision is the same on other CPUs, to the last bit, and slow: nothing to ship.
    """
    able = [one.name for one in TARGETS if name in RUNTIMES["tvm"].precisions_on(one.name)]
    if target.name not in able:
        raise RefusedError(
            f"the CPU of target {target.name} is not known to have the instructions for {name}: "
            f"use fp32, or one of {', '.join(able)}"
        )


def _calibration(exported: Exported, how: Precision, data: Path | None) -> precision.Calibration:
    facts = exported.facts()
    stored = facts["preprocessing"]
    own = Preprocessing(stored["channels"], tuple(stored["mean"]), tuple(stored["scale"]))
    height, width = facts["input_size"]
    faces = DATASETS[how.faces].images(data_root(data))
    return precision.calibration_of(faces, own, (height, width))


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
