"""Images of anybody: people's folders with pairs drawn from them, and lists of pairs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from facebench.architectures.errors import BadInputError
from facebench.harness.stats.arrays import Floats
from facebench.harness.verification.datasets.registry import DATASETS, Dataset, data_root
from facebench.harness.verification.drawing import draw_pairs
from facebench.harness.verification.faces import ImageSet, Pair, PairSet
from facebench.harness.verification.files import (
    Archive,
    Folder,
    Listed,
    is_image,
    left_out,
    open_files,
)
from facebench.harness.verification.layout import read_bytes, read_landmarks
from facebench.harness.verification.lists import check_identities, read_pairs

PAIRS = "pairs.csv"
SEED = 0


def open_folder(path: str, root: Path | None, seed: int | None = None) -> PairSet:
    """Return a folder (or an uncompressed tar) of `identity/image`, with its pairs.

    Args:
        path: the folder, also relative to the one where data is kept.
        root: the folder where data is kept.
        seed: draws the pairs; without one those in `pairs.csv` are used where the
            folder has it, and otherwise those of seed 0.

    Raises:
        BadInputError: there is no such folder, its images are not in their people's
            folders, there are too few, or `pairs.csv` is malformed.
    """
    place = find_path(path, root)
    files = open_files(place)
    people = by_identity(files)
    identities = {key: name for name, images in people.items() for key in images}
    pairs: tuple[Pair, ...]
    if seed is None and PAIRS in files:
        where = files.describe(PAIRS)
        pairs = read_pairs(files.read(PAIRS), where).pairs
        check_identities(pairs, identities, where)
    else:
        pairs = tuple(draw_pairs(people, SEED if seed is None else seed, str(place)))
    used = {key: identities[key] for pair in pairs for key in (pair.first, pair.second)}
    return PairSet(
        f"folder:{place.name}",
        "",
        files,
        landmarks_of(files),
        used,
        pairs,
        left_out=left_out(files.names()),
    )


def open_images(path: str, root: Path | None) -> ImageSet:
    """Return all images of a folder (or an uncompressed tar) of `identity/image`.

    Raises:
        BadInputError: there is no such folder, or its images are not in their people's folders.
    """
    place = find_path(path, root)
    files = open_files(place)
    identities = {key: name for name, images in by_identity(files).items() for key in images}
    return ImageSet(f"folder:{place.name}", "", files, landmarks_of(files), identities)


def by_identity(files: Listed) -> dict[str, list[str]]:
    """Return the images in each identity's folder; images outside of any are left out.

    Raises:
        BadInputError: there are none, or some lie deeper, where it is not clear
            which folder is the person.
    """
    people: dict[str, list[str]] = {}
    for name in files.names():
        parts = name.split("/")
        if not is_image(name) or len(parts) < 2:
            continue
        if len(parts) > 2:
            raise BadInputError(
                f"{files.describe(name)} lies deeper than identity/image: name the folder that "
                "holds the people's folders, with the images right in them"
            )
        people.setdefault(parts[0], []).append(name)
    if not people:
        raise BadInputError(
            f"{files.path} holds no identity/image: give each person a folder of images "
            "(jpg, png, bmp, pgm or webp)"
        )
    return people


def landmarks_of(files: Folder | Archive) -> Mapping[str, Floats]:
    """Read landmarks by image, `(5, 2)` each in pixels, from the file that lies with the images.

    It is `landmarks.csv` in a folder, or `<name>-landmarks.csv` beside; without it there are none.
    """
    beside = files.path.parent / f"{files.path.name.removesuffix('.tar')}-landmarks.csv"
    paths = (files.path / "landmarks.csv", beside)
    found = next((path for path in paths if path.is_file()), None)
    return {} if found is None else read_landmarks(found)


def find_path(path: str, root: Path | None) -> Path:
    """Return where a path leads: from the working folder, else from the one where data is kept.

    Raises:
        BadInputError: it is no path.
    """
    if not path or "\0" in path:
        raise BadInputError(
            f"{path!r} is no path: write one after the colon, as in folder:my/faces"
        )
    here = Path(os.path.expanduser(path))
    kept = data_root(root)
    beneath = kept is not None and not os.path.exists(here) and os.path.exists(kept / here)
    place = kept / here if kept is not None and beneath else here
    # A name for the record, even of `.`; links keep their own.
    return place.absolute() if place.name not in ("", "..") else place.resolve()


def _open_list(path: str, root: Path | None) -> PairSet:
    place = find_path(path, root)
    found = read_pairs(read_bytes(place), str(place))
    files = Folder(place.parent)
    landmarks = landmarks_of(files)
    return PairSet(f"list:{place.stem}", "", files, landmarks, found.identities, found.pairs)


@DATASETS.family("folder", "any folder or uncompressed tar of identity/image; pairs are drawn")
def _folder(path: str) -> Dataset:
    return Dataset(
        f"folder:{find_path(path, None).name}",
        label="",
        found=lambda root: os.path.exists(find_path(path, root)),
        open=lambda root: open_folder(path, root),
        open_images=lambda root: open_images(path, root),
        about=f"people's images in {path}",
        place=f"the folder {path}, of a folder of images for each person",
    )


@DATASETS.family(
    "list",
    "any pairs, in a CSV file with the columns first,second,same,fold (and who is in them, "
    "first_person,second_person)",
)
def _list(path: str) -> Dataset:
    return Dataset(
        f"list:{find_path(path, None).stem}",
        label="",
        found=lambda root: os.path.isfile(find_path(path, root)),
        open=lambda root: _open_list(path, root),
        about=f"the pairs in {path}",
        place=f"the file {path}, with its images beside it",
    )
