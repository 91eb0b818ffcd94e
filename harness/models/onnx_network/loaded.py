"""A user's file, read once: its graph, what it takes and what it gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from facebench.architectures.errors import BadInputError
from facebench.architectures.registry import Preprocessing
from facebench.harness.models.onnx_network import canonical, files, interface
from facebench.harness.models.onnx_network.interface import Interface
from facebench.harness.models.tflite_network import reading

if TYPE_CHECKING:
    from onnx import ModelProto

# Pixels as they are.
_RAW = Preprocessing(mean=(0.0, 0.0, 0.0), scale=(1.0, 1.0, 1.0))


@dataclass(frozen=True)
class Loaded:
    """It is a user's graph with its weights.

    Attributes:
        path: of the file.
        model: as it was read; nobody changes it.
        found: its interface.
    """

    path: Path
    model: ModelProto
    found: Interface

    @property
    def opset(self) -> int:
        """Return the version of ONNX's operators."""
        return max(
            int(one.version) for one in self.model.opset_import if one.domain in ("", "ai.onnx")
        )

    def preprocessing(self, chosen: Preprocessing | None) -> Preprocessing:
        """Return how pixels become the image: as the user chose, or raw where the graph says so.

        Raises:
            BadInputError: the graph takes raw pixels, or grey, and the choice does not fit.
        """
        if self.found.raw:
            if chosen is not None and not _only_channels(chosen):
                raise BadInputError(
                    f"{self.path} takes uint8, which are pixels as they are: leave --mean and "
                    "--scale out"
                )
            return replace(_RAW, channels=chosen.channels) if chosen else _RAW
        chosen = chosen or Preprocessing()
        if self.found.channels == 1 and len({*chosen.mean}) * len({*chosen.scale}) > 1:
            raise BadInputError(
                f"{self.path} takes a grey image: give one number for --mean and for --scale"
            )
        return chosen

    def wrapped(self, channels: str) -> ModelProto:
        """Return the graph from `image` to `embedding`; see `canonical.wrap`."""
        try:
            return canonical.wrap(self.model, self.found, channels)
        except BadInputError as error:
            raise BadInputError(f"{self.path}: {error}") from error


@lru_cache(maxsize=2)
def load(path: Path, identity: str, size: tuple[int, int] | None, output: str) -> Loaded:
    """Return what a file holds; the last ones are kept.

    Args:
        path: of the file.
        identity: of its weights, so that a file that changed is read anew.
        size: height and width of a graph that leaves them free; else None.
        output: that holds the embedding; where empty, there is but one.

    Raises:
        BadInputError: it holds no embedding network.
    """
    model = files.read(path)
    return Loaded(path, model, interface.find(model, str(path), size, output))


@lru_cache(maxsize=2)
def load_tflite(path: Path, identity: str, size: tuple[int, int] | None, output: str) -> Loaded:
    """Return what a TFLite file holds, as a graph of ONNX; see `load`."""
    model, output = reading.read(path, output)
    return Loaded(path, model, interface.find(model, str(path), size, output))


def _only_channels(chosen: Preprocessing) -> bool:
    default = Preprocessing()
    known = ((default.mean, default.scale), (_RAW.mean, _RAW.scale))
    return (chosen.mean, chosen.scale) in known
