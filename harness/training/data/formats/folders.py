"""Provides a folder for each person, with images in it, as CASIA-WebFace comes: `0000045/001.jpg`.

Source of the layout: D. Yi, Z. Lei, S. Liao, S. Z. Li, "Learning Face Representation
from Scratch", arXiv 1411.7923.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from facebench.harness.training.data.formats.registry import FORMATS, Format
from facebench.harness.training.data.source import Source, numbered, people_of, stamp_of_files
from facebench.harness.verification.datasets.folders import landmarks_of
from facebench.harness.verification.files import Folder, is_image


class _InFolder:
    """Images that are files below a folder: `Images`."""

    def __init__(self, folder: Folder, names: Sequence[str]) -> None:
        self._folder = folder
        self._names = names

    def read(self, index: int) -> bytes:
        return self._folder.read(self._names[index])

    def describe(self, index: int) -> str:
        return self._folder.describe(self._names[index])


def _open(path: Path) -> Source:
    folder = Folder(path)
    keys = people_of([name for name in folder.names() if is_image(name)], path)
    names = list(keys.values())
    people, identities = numbered([name.partition("/")[0] for name in names])
    images = _InFolder(folder, list(keys))
    stamp = stamp_of_files(path, list(keys))
    return Source(path, images, names, people, identities, stamp, landmarks_of(folder))


FORMATS.add(
    "folders",
    Format(
        "folders",
        "a folder with a folder of images for each person",
        lambda path: path if path.is_dir() else None,
        _open,
        certain=False,
    ),
)
