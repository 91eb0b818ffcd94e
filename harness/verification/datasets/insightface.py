"""Test sets in insightface's format: one `.bin` file of aligned faces, and which pairs are same.

The file is a pickle of `(images, same)`: encoded images, of which 2i and 2i+1 are
pair i, and a boolean a pair (insightface's `recognition/_datasets_`: `lfw2pack.py`
writes them). The faces are aligned at 112x112, or resized from there. Ten folds, as scikit-learn's
`KFold(n_splits=10, shuffle=False)` cuts the pairs, which is what insightface's
`verification.py` scores with.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from facebench.architectures.errors import BadInputError
from facebench.harness.stats.arrays import Floats
from facebench.harness.verification.alignment import in_square, template
from facebench.harness.verification.datasets.folders import find_path
from facebench.harness.verification.datasets.registry import DATASETS, Dataset, data_root
from facebench.harness.verification.faces import FaceSet, Pair, PairSet
from facebench.harness.verification.images import facts
from facebench.harness.verification.landmarks import AlignedLandmarks
from facebench.harness.verification.pickled import Array, read_pickle

FOLDS = 10
# Where insightface's archives of training sets have the files.
FOLDERS = (".", "faces_emore", "faces_webface_112x112", "insightface")
# Name, name of the file, and what it is.
SETS = (
    ("lfw_bin", "lfw", "Labeled Faces in the Wild, View 2 (Technical Report 07-49, 2007)"),
    ("agedb_30", "agedb_30", "AgeDB, 30 years between images (S. Moschoglou et al., CVPRW 2017)"),
    ("cfp_fp", "cfp_fp", "CFP, frontal with profile (S. Sengupta et al., WACV 2016)"),
    ("cfp_ff", "cfp_ff", "CFP, frontal with frontal (S. Sengupta et al., WACV 2016)"),
    ("calfw", "calfw", "Cross-Age LFW (T. Zheng et al., arXiv 1708.08197)"),
    ("cplfw", "cplfw", "Cross-Pose LFW (T. Zheng and W. Deng, BUPT report 18-01, 2018)"),
)


class _Images:
    """It holds encoded images in memory, each once: `Files`."""

    def __init__(self, path: Path, images: dict[str, bytes]) -> None:
        self._path = path
        self._images = images

    def __contains__(self, name: object) -> bool:
        return name in self._images

    def read(self, name: str) -> bytes:
        return self._images[name]

    def describe(self, name: str) -> str:
        return f"image {int(name.removesuffix('.jpg'))} of {self._path}"


def open_bin(name: str, path: Path) -> PairSet:
    """Return the faces in a `.bin` file, whose bytes are held in memory once.

    Args:
        name: of the dataset.
        path: the file.

    Raises:
        BadInputError: it can't be read, or is not in this format; see `read_pickle`.
    """
    images, same = _content(read_pickle(path), path)
    # An image that occurs in several pairs has one key: the first place it occurs at.
    first: dict[bytes, str] = {}
    keys = [first.setdefault(data, f"{i:05d}.jpg") for i, data in enumerate(images)]
    folds = _folds(len(same))
    pairs = tuple(Pair(keys[2 * i], keys[2 * i + 1], flag, folds[i]) for i, flag in enumerate(same))
    files = _Images(path, {key: data for data, key in first.items()})
    points = AlignedLandmarks(first.values(), lambda key: _points(files, key))
    return PairSet(name, "", files, points, {}, pairs)


def _points(files: _Images, key: str) -> Floats:
    """Return where the face is in an image: each has a size of its own."""
    where = files.describe(key)
    size = facts(files.read(key), where).size
    if size in ((112, 112), (112, 96)):
        return template(size)
    if size[0] != size[1]:
        raise BadInputError(
            f"{where} is {size[0]}x{size[1]}, and aligned faces are square or 112x96: convert the "
            "set anew, with crops of 112x112"
        )
    return in_square(size[0])


def _content(value: Any, path: Path) -> tuple[list[bytes], list[bool]]:
    """Return the images and the booleans, two of the former for each of the latter."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise BadInputError(
            f"{path} does not hold a list of images and one of booleans: use a test set such as "
            "insightface's lfw.bin"
        )
    images, same = _listed(value[0]), _listed(value[1])
    encoded = [_encoded(item, i, path) for i, item in enumerate(images)]
    if len(same) < FOLDS or len(encoded) != 2 * len(same):
        raise BadInputError(
            f"{path} has {len(encoded)} images for {len(same)} pairs, where two a pair and at "
            f"least {FOLDS} pairs are needed: copy it anew"
        )
    flags = [_flag(item, i, path) for i, item in enumerate(same)]
    return encoded, flags


def _listed(value: Any) -> Sequence[Any]:
    """Return the elements of a list, or of a numpy array of bytes or booleans."""
    if isinstance(value, (list, tuple)):
        return value
    return list(value.data) if isinstance(value, Array) and value.kind in ("b1", "u1") else []


def _encoded(item: Any, index: int, path: Path) -> bytes:
    # OpenCV's `imencode`, which some converters use, gives an array.
    data = item.data if isinstance(item, Array) and item.kind == "u1" else item
    if not isinstance(data, bytes) or not data:
        raise BadInputError(
            f"{path}: image {index} is not the bytes of an encoded image: convert the set anew"
        )
    return data


def _flag(item: Any, index: int, path: Path) -> bool:
    if isinstance(item, int) and item in (0, 1):
        return bool(item)
    raise BadInputError(f"{path}: pair {index} is neither true nor false: convert the set anew")


def _folds(pairs: int) -> list[int]:
    """Return the fold of each pair; the first `pairs % 10` folds have one more than the others."""
    size, more = divmod(pairs, FOLDS)
    return [fold for fold in range(FOLDS) for _ in range(size + (fold < more))]


def _path(file: str, root: Path | None) -> Path | None:
    root = data_root(root)
    if root is None:
        return None
    paths = (root / folder / f"{file}.bin" for folder in FOLDERS)
    return next((path for path in paths if path.is_file()), None)


def _place(file: str) -> str:
    return f"{file}.bin of insightface's training sets, directly or in a folder " + " or ".join(
        FOLDERS[1:]
    )


def _open(name: str, file: str, root: Path | None) -> FaceSet:
    path = _path(file, root)
    if path is None:
        raise BadInputError(
            f"dataset {name} is not in {data_root(root) or 'a folder that was named'}: give with "
            f"--data or FACEBENCH_DATA a folder with {_place(file)}"
        )
    return open_bin(name, path)


for _name, _file, _about in SETS:
    DATASETS.add(
        _name,
        Dataset(
            _name,
            label="",
            found=lambda root, file=_file: _path(file, root) is not None,  # type: ignore[misc]
            open=partial(_open, _name, _file),
            about=f"{_about}, aligned at 112x112 by insightface",
            place=_place(_file),
        ),
    )


@DATASETS.family("bin", "any test set in insightface's .bin format, aligned at 112x112")
def _bin(path: str) -> Dataset:
    name = f"bin:{find_path(path, None).stem}"
    return Dataset(
        name,
        label="",
        found=lambda root: os.path.isfile(find_path(path, root)),
        open=lambda root: open_bin(name, find_path(path, root)),
        about=f"the pairs in {path}",
        place=f"the file {path}",
    )
