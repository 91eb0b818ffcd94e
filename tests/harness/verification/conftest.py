"""A small dataset in the layout of Labeled Faces in the Wild, made on the disk."""

import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

LANDMARKS = np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], float)
PAIRS = """2\t2
Ann\t1\t2
Bob\t1\t2
Ann\t1\tBob\t1
Ann\t2\tBob\t2
Cid\t1\t2
Dan\t1\t2
Cid\t1\tDan\t1
Cid\t2\tDan\t2
"""
HEADER = (
    "image,left_eye_x,left_eye_y,right_eye_x,right_eye_y,nose_x,nose_y,"
    "left_mouth_x,left_mouth_y,right_mouth_x,right_mouth_y"
)


class Layout:
    """The set's files, to be damaged by a test."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "lfw"
        self.pairs = self.folder / "pairs.txt"
        self.landmarks = self.folder / "landmarks.csv"

    def image(self, name: str) -> Path:
        return self.folder / name.rpartition("_")[0] / name

    def archive(self) -> Path:
        """Pack it as the archive that `lfw` looks for, and leave no folder."""
        path = self.root / "lfw-deepfunneled-view2.tar"
        with tarfile.open(path, "w") as archive:
            archive.add(self.folder, "lfw-deepfunneled")
        self.landmarks.rename(self.root / "lfw-deepfunneled-landmarks.csv")
        self.folder.rename(self.root / "unpacked")
        return path


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path)
    rng = np.random.default_rng(0)
    lines = [HEADER]
    for name in ("Ann", "Bob", "Cid", "Dan"):
        (made.folder / name).mkdir(parents=True)
        for number in (1, 2):
            pixels = rng.integers(0, 256, (100, 100, 3), np.uint8)
            Image.fromarray(pixels).save(made.image(f"{name}_000{number}.jpg"))
            numbers = ",".join(str(value) for value in LANDMARKS.ravel())
            lines.append(f"{name}/{name}_000{number}.jpg,{numbers}")
    made.pairs.write_text(PAIRS)
    made.landmarks.write_text("\n".join(lines) + "\n")
    return made


@pytest.fixture
def replace() -> Callable[[Path, str, str], None]:
    """Replace what occurs in a text file once."""

    def do(path: Path, old: str, new: str) -> None:
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))

    return do
