"""Provides Labeled Faces in the Wild, View 2: 6,000 pairs in 10 folds.

Source: G. B. Huang, M. Ramesh, T. Berg, E. Learned-Miller, "Labeled Faces in the
Wild: A Database for Studying Face Recognition in Unconstrained Environments",
University of Massachusetts, Amherst, Technical Report 07-49, 2007.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from facebench.architectures.errors import BadInputError
from facebench.harness.storage.downloads import Download
from facebench.harness.verification.datasets.registry import DATASETS, Dataset, data_root
from facebench.harness.verification.faces import FaceSet
from facebench.harness.verification.files import Archive, Files, Folder
from facebench.harness.verification.layout import PAIRS, open_layout

ARCHIVE = "lfw-deepfunneled-view2.tar"
ARCHIVE_LANDMARKS = "lfw-deepfunneled-landmarks.csv"
FOLDERS = ("lfw-deepfunneled", "lfw")
LFW_IMAGES = f"a folder {' or '.join(FOLDERS)} of the identities' folders"
PLACE = (
    f"{LFW_IMAGES}, with {PAIRS} in it or beside it "
    f"(or {ARCHIVE}, an archive of it), and landmarks.csv where the landmarks are known"
)

# The addresses of the publisher. The archive's digest is that of torchvision's `datasets/lfw.py`;
# that of pairs.txt was taken of a copy that has torchvision's MD5.
_SITE = "https://vis-www.cs.umass.edu/lfw"
DOWNLOADS = (
    Download(
        f"{_SITE}/lfw-deepfunneled.tgz",
        "lfw-deepfunneled",
        "md5:68331da3eb755a505a502b5aacb3c201",
        unpack=True,
    ),
    Download(
        f"{_SITE}/pairs.txt",
        f"lfw-deepfunneled/{PAIRS}",
        "sha256:ea42330c62c92989f9d7c03237ed5d591365e89b3e649747777b70e692dc1592",
    ),
)


@dataclass(frozen=True)
class LfwImages:
    """It says where LFW is.

    Attributes:
        files: its images.
        landmarks: where their landmarks would be.
        pairs: `pairs.txt`, where it is not among the files.
    """

    files: Files
    landmarks: Path
    pairs: Path | None = None


def lfw_images(root: Path | None) -> LfwImages | None:
    """Return where LFW's images are in the folder where data is kept; None where they aren't."""
    place = _place(root)
    if place is None:
        return None
    if place.is_file():
        return LfwImages(Archive(place, PAIRS), place.parent / ARCHIVE_LANDMARKS)
    inside = place / "landmarks.csv"
    beside = (place.parent / "landmarks.csv", place.parent / f"{place.name}-landmarks.csv")
    landmarks = next((path for path in (inside, *beside) if path.is_file()), inside)
    outside = place.parent / PAIRS
    lacks = not (place / PAIRS).exists() and outside.is_file()
    return LfwImages(Folder(place), landmarks, outside if lacks else None)


def _found(root: Path | None) -> bool:
    return _place(root) is not None


def _open(root: Path | None) -> FaceSet:
    images = lfw_images(root)
    if images is None:
        raise BadInputError(
            f"dataset lfw is not in {data_root(root) or 'a folder that was named'}: give with "
            f"--data or FACEBENCH_DATA a folder that holds {PLACE}"
        )
    return open_layout("lfw", "", images.files, images.landmarks, images.pairs)


def _place(root: Path | None) -> Path | None:
    """Return the archive or folder of images, where there is one."""
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
        place=PLACE,
        downloads=DOWNLOADS,
    ),
)
