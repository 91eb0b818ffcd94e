"""Labeled Faces in the Wild, View 2: 6,000 pairs in 10 folds.

Source: G. B. Huang, M. Ramesh, T. Berg, E. Learned-Miller, "Labeled Faces in the
Wild: A Database for Studying Face Recognition in Unconstrained Environments",
University of Massachusetts, Amherst, Technical Report 07-49, 2007.
"""

from __future__ import annotations

from pathlib import Path

from architectures.errors import BadInputError
from harness.verification.datasets.registry import DATASETS, Dataset, data_root
from harness.verification.faces import FaceSet
from harness.verification.files import Archive, Folder
from harness.verification.layout import PAIRS, open_layout

ARCHIVE = "lfw-deepfunneled-view2.tar"
ARCHIVE_LANDMARKS = "lfw-deepfunneled-landmarks.csv"
FOLDERS = ("lfw-deepfunneled", "lfw")


def _found(root: Path | None) -> bool:
    return _place(root) is not None


def _open(root: Path | None) -> FaceSet:
    place = _place(root)
    if place is None:
        where = data_root(root)
        raise BadInputError(
            f"dataset lfw is not in {where or 'a folder that was named'}: give with --data or "
            f"FACEBENCH_DATA a folder that holds {ARCHIVE} and {ARCHIVE_LANDMARKS}, or a folder "
            f"{' or '.join(FOLDERS)} with {PAIRS} and landmarks.csv"
        )
    if place.is_file():
        return open_layout("lfw", "", Archive(place, PAIRS), place.parent / ARCHIVE_LANDMARKS)
    inside = place / "landmarks.csv"
    beside = (place.parent / "landmarks.csv", place.parent / f"{place.name}-landmarks.csv")
    landmarks = next((path for path in beside if path.is_file()), inside)
    return open_layout("lfw", "", Folder(place), inside if inside.is_file() else landmarks)


def _place(root: Path | None) -> Path | None:
    """The archive or folder of images, where there is one."""
    root = data_root(root)
    if root is None:
        return None
    if (root / ARCHIVE).is_file():
        return root / ARCHIVE
    return next((root / name for name in FOLDERS if (root / name).is_dir()), None)


DATASETS.add(
    "lfw",
    Dataset(
        "lfw",
        label="",
        found=_found,
        open=_open,
        about="Labeled Faces in the Wild, View 2: 6,000 pairs of photographs in 10 folds",
    ),
)
