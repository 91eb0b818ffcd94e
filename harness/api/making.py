"""Makes files of networks: exported to ONNX, or compiled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from facebench.harness.api.naming import NetworkLike, Size, all_of
from facebench.harness.api.quiet import quietly
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.runs.model_files import ModelFile, write_library, write_onnx


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
    with quietly():
        return [write_onnx(one, Path(out)) for one in found]


def compile(
    networks: NetworkLike | Sequence[NetworkLike],
    target: str | Sequence[str] = "host",
    out: str | Path = ".",
    *,
    batch: int = 1,
    size: Size | None = None,
    weights: str | Path | None = None,
) -> list[ModelFile]:
    """Compile with TVM to shared libraries: `NETWORK.TARGET.so` for each network and target.

    Args:
        networks: one or several: names, files, modules of torch, or what `network` returned.
        target: CPUs to compile for, such as `cortex-a76`; by default this machine's.
        out: folder to write to; by default this one.
        batch: images in one inference.
        size: of a module's images, as in `network`.
        weights: of all of them, as in `network`; `shipped` is for those that have some.

    Raises:
        UnknownNameError: there is no such network or target.
        BadInputError: a network cannot be exported, or a file can't be written.

    Example:
        >>> import facebench
        >>> facebench.compile("mobilefacenet", "cortex-a7600")
        Traceback (most recent call last):
        ...
        facebench.architectures.errors.UnknownNameError: unknown target 'cortex-a7600': ...
    """
    names = [target] if isinstance(target, str) else target
    targets = [TARGETS[name.strip()] for one in names for name in one.split(",")]
    found = all_of(networks, size, weights)
    with quietly():
        return [write_library(one, to, batch, Path(out)) for one in found for to in targets]
