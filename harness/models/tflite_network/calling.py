"""Keeps a user's TFLite file for the runtime that reads it as it is, with how it is called."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from facebench.harness.models.onnx_network.loaded import Loaded

FILE, _CALLING = "network.tflite", "calling.json"


@dataclass(frozen=True)
class Calling:
    """It says how images go into a file, and where embeddings come out.

    Attributes:
        graph: number of the graph; 0 is the file's first.
        image: number of the input's tensor.
        embedding: of the output's.
        shape: of the input, for one image where it takes any number.
        channels_last: whether the image is (N, H, W, C).
        luma: what a grey image has of red, green and blue, in the images' order; else empty.
    """

    graph: int
    image: int
    embedding: int
    shape: tuple[int, ...]
    channels_last: bool
    luma: tuple[float, ...]


def write(loaded: Loaded, output: str, channels: str, folder: Path) -> None:
    """Copy a file into a folder, with how it is called.

    Args:
        loaded: what was read of it.
        output: as the user named it.
        channels: their order in the images.
        folder: to be made.
    """
    # A session on an emulated core reads what is written here, and has no onnx.
    from facebench.harness.models.onnx_network.canonical import luma
    from facebench.harness.models.tflite_network.files import TfliteFile
    from facebench.harness.models.tflite_network.reading import chosen, outputs_of

    signature, _ = chosen(TfliteFile(loaded.path), output)
    found = loaded.found
    calling = Calling(
        signature.graph,
        signature.inputs[found.image],
        outputs_of(signature)[found.embedding],
        found.image_shape,
        found.channels_last,
        luma(channels) if found.channels == 1 else (),
    )
    folder.mkdir()
    shutil.copyfile(loaded.path, folder / FILE)
    (folder / _CALLING).write_text(json.dumps(asdict(calling)))


def read(folder: Path) -> Calling:
    """Return how the file in a folder is called."""
    stored = json.loads((folder / _CALLING).read_text())
    lists = {name: tuple(stored[name]) for name in ("shape", "luma")}
    return Calling(**(stored | lists))
