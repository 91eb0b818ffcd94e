"""IJB-B and IJB-C, 1:N: templates searched for in two galleries.

The images and lists are those of `ijb`, and `*_1N_probe_mixed.csv` and the lists of the two
galleries (S1 and S2 of IJB-B, G1 and G2 of IJB-C) say which templates are searched for and where,
and who is in them.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from facebench.architectures.errors import BadInputError
from facebench.harness.verification.datasets import ijb
from facebench.harness.verification.datasets.registry import DATASETS, Dataset, data_root
from facebench.harness.verification.faces import FaceSet, GallerySet, Rows
from facebench.harness.verification.tables import read_lines
from facebench.harness.verification.templates import with_images

# Of each set the names of its galleries.
SETS = (
    ("ijbb", "IJBB", ("S1", "S2"), "IARPA Janus Benchmark-B, 1:N (C. Whitelam et al., CVPRW 2017)"),
    ("ijbc", "IJBC", ("G1", "G2"), "IARPA Janus Benchmark-C, 1:N (B. Maze et al., ICB 2018)"),
)


def open_galleries(name: str, folder: Path, galleries: tuple[str, ...]) -> GallerySet:
    """Return the galleries and probes of a folder; images are not looked at.

    Args:
        name: of the set, as its lists begin.
        folder: with `loose_crop` and `meta`.
        galleries: as the lists call them.

    Raises:
        BadInputError: a list is missing, or a line of it is malformed or contradicts another.
    """
    made = ijb.open_images(name, folder)
    lists = folder / ijb.LISTS
    subjects: dict[int, int] = {}
    rows = [
        _rows(lists / f"{name}_1N_{what}.csv", made.names, subjects)
        for what in (*(f"gallery_{gallery}" for gallery in galleries), "probe_mixed")
    ]
    people = np.full(len(made.names), -1, np.int32)
    known = np.searchsorted(made.names, list(subjects))
    people[known] = np.unique(list(subjects.values()), return_inverse=True)[1]
    for number, gallery in enumerate(rows[:-1]):
        path = lists / f"{name}_1N_gallery_{galleries[number]}.csv"
        _check_one_each(people[gallery], path)
        if len(both := np.intersect1d(gallery, rows[-1])):
            raise BadInputError(
                f"{path} has template {made.names[both[0]]}, which is searched for too: it would "
                "find itself; copy the lists anew"
            )
    faces = GallerySet(
        f"{name}_1n",
        "",
        made.files,
        made.landmarks,
        {},
        images=made.images,
        template=made.template,
        medium=made.medium,
        weights=made.weights,
        people=people,
        missed=np.zeros(len(made.names), np.bool_),
        galleries=tuple(rows[:-1]),
        probes=rows[-1],
    )
    return with_images(faces, people[made.template] >= 0)


def _rows(path: Path, names: Rows, subjects: dict[int, int]) -> Rows:
    """Return the rows of the templates in a list, ascending; notes who is in each.

    A list has a line for each image of a template, which begins with the numbers of the template
    and of the person; what follows these is not read.
    """
    found: set[int] = set()
    for line, text in read_lines(path):
        fields = [field.strip() for field in text.split(",", 2)[:2]]
        whole = len(fields) == 2 and all(field.isascii() and field.isdigit() for field in fields)
        if line == 1 or not text.strip():
            _check_head(path, line, whole)
            continue
        if not whole or max(map(len, fields)) > 9:
            raise BadInputError(
                f"{path} line {line} must begin with the whole numbers of a template and of a "
                f"person, with a comma between: mend {text[:60]!r}"
            )
        template, person = map(int, fields)
        if (other := subjects.setdefault(template, person)) != person:
            raise BadInputError(
                f"{path} line {line} says that template {template} shows person {person}, and a "
                f"line before, or another list, {other}: mend one"
            )
        found.add(template)
    wanted = np.array(sorted(found), np.int32)
    row = np.searchsorted(names, wanted).astype(np.int32)
    unknown = names[np.minimum(row, len(names) - 1)] != wanted
    if not len(wanted):
        raise BadInputError(f"{path} names no template: copy it anew")
    if unknown.any():
        raise BadInputError(
            f"{path} names template {wanted[unknown][0]}, of which there is no image: copy the "
            "lists anew"
        )
    return row


def _check_head(path: Path, line: int, numbers: bool) -> None:
    if line == 1 and numbers:
        raise BadInputError(
            f"{path} line 1 must name the columns, TEMPLATE_ID,SUBJECT_ID and what follows: copy "
            "the list anew"
        )


def _check_one_each(people: Rows, path: Path) -> None:
    _, counts = np.unique(people, return_counts=True)
    if counts.max() > 1:
        raise BadInputError(
            f"{path} has {counts.max()} templates of one person: a gallery has one each; copy the "
            "list anew"
        )


def _lists(name: str, stem: str, galleries: tuple[str, ...], root: Path | None) -> Path | None:
    folder = ijb.find_folder(stem, root)
    wanted = f"{name}_1N_gallery_{galleries[0]}.csv"
    return folder if folder is not None and (folder / ijb.LISTS / wanted).exists() else None


def _found(name: str, stem: str, galleries: tuple[str, ...], root: Path | None) -> bool:
    return _lists(name, stem, galleries, root) is not None


def _place(name: str, stem: str, galleries: tuple[str, ...]) -> str:
    files = ", ".join(f"{name}_1N_gallery_{gallery}.csv" for gallery in galleries)
    return (
        f"the folder {stem} of dataset {name}, with {files} and {name}_1N_probe_mixed.csv in "
        f"{ijb.LISTS}/"
    )


def _open(name: str, stem: str, galleries: tuple[str, ...], root: Path | None) -> FaceSet:
    folder = _lists(name, stem, galleries, root)
    if folder is None:
        raise BadInputError(
            f"dataset {name}_1n is not in {data_root(root) or 'a folder that was named'}: give "
            f"with --data or FACEBENCH_DATA a folder that holds {_place(name, stem, galleries)}"
        )
    return open_galleries(name, folder, galleries)


for _name, _stem, _galleries, _about in SETS:
    DATASETS.add(
        f"{_name}_1n",
        Dataset(
            f"{_name}_1n",
            label="",
            found=partial(_found, _name, _stem, _galleries),
            open=partial(_open, _name, _stem, _galleries),
            about=_about,
            measure="galleries",
            place=_place(_name, _stem, _galleries),
        ),
    )
