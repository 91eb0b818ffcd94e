"""Makes files of networks: exported to ONNX, or compiled."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from facebench.harness.api.measuring import CaseWarning
from facebench.harness.api.naming import (
    Names,
    NetworkLike,
    Size,
    all_of,
    listed,
    precisions_of,
)
from facebench.harness.api.quiet import quietly
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.runs.model_files import (
    LibraryRequest,
    ModelFile,
    require_apart,
    write_libraries,
    write_onnx,
)


def export(
    networks: NetworkLike | Sequence[NetworkLike],
    out: str | Path = ".",
    *,
    size: Size | None = None,
    weights: str | Path | None = None,
) -> list[ModelFile]:
    """Export to ONNX, BN folded, checked against torch: `NETWORK.onnx` for each network.

    Args:
        networks: one or several: names, files, modules of torch, or what `network` returned.
        out: folder to write to; by default this one.
        size: of a module's images, as in `network`.
        weights: of all of them, as in `network`; `shipped` is for those that have some.

    Raises:
        WrongAnswerError: a file's outputs differ from torch's.
        UnknownNameError: there is no such network.
        BadInputError: a network cannot be exported, or a file can't be written.

    Example:
        >>> import facebench
        >>> import tempfile
        >>> from torch import nn
        >>> block = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.PReLU(8), nn.Flatten())
        >>> (file,) = facebench.export(block, tempfile.mkdtemp(), size=8)
        >>> file.path.suffix, file.facts["opset"], file.facts["embedding_size"]
        ('.onnx', 17, 72)
    """
    found = all_of(networks, size, weights)
    require_apart(found)
    with quietly():
        return [write_onnx(one, Path(out)) for one in found]


def compile(
    networks: NetworkLike | Sequence[NetworkLike],
    target: Names = "host",
    out: str | Path = ".",
    *,
    precision: Names = "fp32",
    calibration: str = "synthetic",
    batch: int = 1,
    data: str | Path | None = None,
    size: Size | None = None,
    weights: str | Path | None = None,
) -> list[ModelFile]:
    """Compile with TVM to shared libraries: `NETWORK.TARGET.so` for each network and target.

    In fewer bits it is `NETWORK.TARGET.PRECISION.so`. A library in int8 whose embeddings of the
    calibration faces are far from those in fp32 is a warning.

    Args:
        networks: one or several: names, files, modules of torch, or what `network` returned.
        target: CPUs to compile for, such as `cortex-a76`; by default this machine's.
        out: folder to write to; by default this one.
        precision: of `fp32`, `fp16` and `int8`.
        calibration: the dataset that int8's ranges come from.
        batch: images in one inference.
        data: folder of datasets; by default `$FACEBENCH_DATA`.
        size: of a module's images, as in `network`.
        weights: of all of them, as in `network`; `shipped` is for those that have some.

    Raises:
        UnknownNameError: there is no such network, target or precision.
        RefusedError: a target's CPU does not compute in a precision, TVM cannot compile the
            network, or its numbers are too large for fp16.
        BadInputError: a network cannot be exported, or a file can't be written.

    Example:
        >>> import facebench
        >>> facebench.compile("mobilefacenet", "cortex-a72", precision="fp16")
        Traceback (most recent call last):
        ...
        facebench.architectures.errors.RefusedError: ...: use fp32, or one of cortex-a55, cortex-a76
        >>> facebench.compile("mobilefacenet", "cortex-a7600")
        Traceback (most recent call last):
        ...
        facebench.architectures.errors.UnknownNameError: unknown target 'cortex-a7600': ...
    """
    request = LibraryRequest(
        [TARGETS[name] for name in listed(target)],
        precisions_of(precision, calibration),
        batch,
        None if data is None else Path(data),
    )
    found = all_of(networks, size, weights)
    require_apart(found)
    with quietly():
        files = [file for one in found for file in write_libraries(one, request, Path(out))]
    for file in files:
        if file.doubt:
            warnings.warn(file.doubt, CaseWarning, stacklevel=2)
    return files
