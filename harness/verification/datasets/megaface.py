"""Searches among distractors: MegaFace, and any two folders in its manner.

Probes of people with several images each are searched for among images of
other people. Source: I. Kemelmacher-Shlizerman, S. Seitz, D. Miller, E. Brossard,
"The MegaFace Benchmark: 1 Million Faces for Recognition at Scale", CVPR 2016, arXiv
1512.00596. The lists of noise, and the names of the files, are those of insightface's
`recognition/_evaluation_/megaface`; J. Deng et al., arXiv 1801.07698, appendix.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from facebench.architectures.errors import BadInputError
from facebench.harness.stats.arrays import Floats
from facebench.harness.verification.datasets.folders import by_identity, find_path, landmarks_of
from facebench.harness.verification.datasets.registry import DATASETS, Dataset, data_root
from facebench.harness.verification.faces import FaceSet, SearchSet
from facebench.harness.verification.files import Archive, Folder, Joined, is_image, open_files
from facebench.harness.verification.layout import decode_text, read_bytes
from facebench.harness.verification.lists import read_names

FOLDER = "megaface"
# As published, and as insightface's package of the aligned images calls them.
PROBES = ("facescrub", "facescrub_images")
DISTRACTORS = ("distractors", "megaface_images")
PLACE = (
    f"a folder {FOLDER} with {PROBES[0]}/<name>/<image> and {DISTRACTORS[0]}/<any folders>/<image> "
    "(both are given out by the University of Washington and the FaceScrub authors on request), "
    "and the lists facescrub_lst, megaface_lst, facescrub_noises.txt and megaface_noises.txt "
    "where you have them"
)
SEPARATOR = "::"


def open_search(name: str, probes: Path, distractors: Path, lists: Path | None = None) -> SearchSet:
    """Return two folders (or uncompressed tars); nothing but names is read.

    Args:
        name: of the dataset.
        probes: `identity/image`; identities with a single image are left out.
        distractors: images in folders of any depth.
        lists: the folder of the lists that say what to use and what to leave out.

    Raises:
        BadInputError: a folder is missing or holds no images that can be used, or a
            list is malformed.
    """
    sought, crowd = open_files(probes), open_files(distractors)
    people = _clean(_people(sought, lists), lists, "facescrub")
    images = Counter(map(_identity, people))
    several = [image for image in people if images[_identity(image)] > 1]
    listed = _listed(lists, "megaface_lst") or filter(is_image, crowd.names())
    others = _clean(listed, lists, "megaface")
    _check(probes, several, "two or more images of one person")
    _check(distractors, others, "images of other people")
    landmarks = _prefixed("probes", landmarks_of(sought))
    landmarks.update(_prefixed("distractors", landmarks_of(crowd)))
    return SearchSet(
        name,
        "",
        Joined({"probes": sought, "distractors": crowd}),
        landmarks,
        {f"probes/{image}": _identity(image) for image in several},
        tuple(f"probes/{image}" for image in several),
        tuple(f"distractors/{image}" for image in others),
    )


def _people(files: Folder | Archive, lists: Path | None) -> list[str]:
    """Return the images of the probes, by the list where there is one."""
    names = _listed(lists, "facescrub_lst")
    flat = next((name for name in names if name.count("/") != 1), None)
    if flat is not None:
        raise BadInputError(
            f"facescrub_lst in {lists} names {flat!r}, which is not identity/image: write the "
            "names from the folder of the probes on"
        )
    return names or [name for images in by_identity(files).values() for name in images]


def _listed(lists: Path | None, name: str) -> list[str]:
    """Return the names in a list; none where there is no list."""
    if lists is None or not (lists / name).is_file():
        return []
    return read_names(read_bytes(lists / name), str(lists / name))


def _clean(names: Iterable[str], lists: Path | None, name: str) -> list[str]:
    """Return the names without the noise."""
    noise = set() if lists is None else _noise(lists / f"{name}_noises.txt")
    # FaceScrub's noise is given by the file's name, MegaFace's by its last two folders too.
    return [name for name in names if not noise or not _endings(name) & noise]


def _endings(name: str) -> set[str]:
    parts = name.split("/")
    return {name, parts[-1], "/".join(parts[-3:])}


def _noise(path: Path) -> set[str]:
    """Names to leave out; a number and a tab may stand before each."""
    if not path.is_file():
        return set()
    lines = decode_text(read_bytes(path), str(path)).splitlines()
    return {line.split("\t")[-1].strip() for line in lines if not line.startswith("#")} - {""}


def _check(place: Path, names: list[str], what: str) -> None:
    if not names:
        raise BadInputError(f"{place} holds no {what}: put them there, or check the lists")


def _identity(name: str) -> str:
    return name.partition("/")[0]


def _prefixed(prefix: str, landmarks: Mapping[str, Floats]) -> dict[str, Floats]:
    return {f"{prefix}/{name}": points for name, points in landmarks.items()}


def _folders(root: Path | None) -> tuple[Path, Path, Path] | None:
    """Return the folder of lists, of probes and of distractors, where they are all there."""
    kept = data_root(root)
    if kept is None:
        return None
    base = kept / FOLDER
    probes = next((base / name for name in PROBES if (base / name).is_dir()), None)
    crowd = next((base / name for name in DISTRACTORS if (base / name).is_dir()), None)
    return None if probes is None or crowd is None else (base, probes, crowd)


def _open(root: Path | None) -> FaceSet:
    places = _folders(root)
    if places is None:
        raise BadInputError(
            f"dataset megaface is not in {data_root(root) or 'a folder that was named'}: give "
            f"with --data or FACEBENCH_DATA a folder that holds {PLACE}"
        )
    lists, probes, distractors = places
    return open_search("megaface", probes, distractors, lists)


DATASETS.add(
    "megaface",
    Dataset(
        "megaface",
        label="",
        found=lambda root: _folders(root) is not None,
        open=_open,
        about="MegaFace, challenge 1: FaceScrub's people among up to a million others",
        measure="identification",
        place=PLACE,
    ),
)


@DATASETS.family("search", "a search in any two folders or tars, PROBES::DISTRACTORS")
def _search(rest: str) -> Dataset:
    probes, separator, distractors = rest.partition(SEPARATOR)
    if not probes or not separator or not distractors:
        raise BadInputError(
            f"search:{rest} is not valid: write search:PROBES{SEPARATOR}DISTRACTORS, two folders"
        )
    folders = (find_path(probes, None).name, find_path(distractors, None).name)
    name = f"search:{SEPARATOR.join(folders)}"

    def open_both(root: Path | None) -> FaceSet:
        return open_search(name, find_path(probes, root), find_path(distractors, root))

    return Dataset(
        name,
        label="",
        found=lambda root: all(os.path.exists(find_path(p, root)) for p in (probes, distractors)),
        open=open_both,
        about=f"the people in {probes} among those in {distractors}",
        measure="identification",
        place=f"the folders {probes} and {distractors}",
    )
