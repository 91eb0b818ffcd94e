"""IJB-B and IJB-C, 1:1: pairs of templates, each of a person's photographs and frames of videos.

Sources: C. Whitelam et al., "IARPA Janus Benchmark-B Face Dataset", CVPRW 2017; B. Maze et al.,
"IARPA Janus Benchmark - C: Face Dataset and Protocol", ICB 2018. The folders and lists are those
that insightface's `recognition/_evaluation_/ijb` reads: `loose_crop/` with an image for each face
of a template, and in `meta/` which template and medium it is of (`*_face_tid_mid.txt`), five
landmarks with the detector's score (`*_name_5pts_score.txt`), and the pairs
(`*_template_pair_label.txt`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from facebench.architectures.errors import BadInputError
from facebench.harness.stats.arrays import Booleans, Reals
from facebench.harness.verification.datasets.registry import DATASETS, Dataset, data_root
from facebench.harness.verification.faces import FaceSet, LandmarkRows, Rows, TemplateSet
from facebench.harness.verification.lists import relative
from facebench.harness.verification.plain import PlainFolder
from facebench.harness.verification.tables import read_lines, read_numbers

IMAGES, LISTS = "loose_crop", "meta"
# Name, as the lists call it, and where it comes from.
SETS = (
    ("ijbb", "IJBB", "IARPA Janus Benchmark-B (C. Whitelam et al., CVPRW 2017): 8 million pairs"),
    ("ijbc", "IJBC", "IARPA Janus Benchmark-C (B. Maze et al., ICB 2018): 15.7 million pairs"),
)
# Where insightface's archive has the sets, beside the data folder itself.
FOLDERS = (".", "ijb", "IJB_release")
# No point of an image has a larger number, and no detector gives one; sums would overflow.
_LARGEST = 1e6
_PAIR = ("template", "template", "1-or-0")


@dataclass(frozen=True, eq=False)
class TemplateFiles:
    """They are the images of a set, and the templates and media that they are of.

    Attributes:
        files: by name.
        landmarks: by name, `(5, 2)` in pixels.
        images: N names.
        names: `(T,)`; the numbers of the templates in the lists, ascending.
        template: `(N,)`; the row of each image's template.
        medium: `(N,)`; a number for each medium of a template.
        weights: `(N,)`; the detector's scores.
    """

    files: PlainFolder
    landmarks: LandmarkRows
    images: tuple[str, ...]
    names: Rows
    template: Rows
    medium: Rows
    weights: Reals


def open_images(name: str, folder: Path) -> TemplateFiles:
    """Return what the lists say of a folder's images; these are not looked at.

    Args:
        name: of the set, as its lists begin.
        folder: with `loose_crop` and `meta`.

    Raises:
        BadInputError: a list is missing, or a line of it is malformed or contradicts another.
    """
    lists = folder / LISTS
    media = lists / f"{name}_face_tid_mid.txt"
    images, numbers = _media(media)
    points, weights = _points(lists / f"{name}_name_5pts_score.txt", images, media)
    names, template = np.unique(numbers[:, 0], return_inverse=True)
    _, medium = np.unique(numbers, axis=0, return_inverse=True)
    return TemplateFiles(
        PlainFolder(folder / IMAGES),
        LandmarkRows(images, points),
        images,
        names,
        template.reshape(-1).astype(np.int32),
        medium.reshape(-1).astype(np.int32),
        weights,
    )


def open_templates(name: str, folder: Path) -> TemplateSet:
    """Return the templates and pairs of a folder; arguments and errors as `open_images`."""
    made = open_images(name, folder)
    first, second, same = _pairs(
        folder / LISTS / f"{name}_template_pair_label.txt",
        made.names,
        folder / LISTS / f"{name}_face_tid_mid.txt",
    )
    people = _groups(first[same], second[same], len(made.names))
    if (wrong := ~same & (people[first] == people[second])).any():
        one, two = (made.names[rows[np.argmax(wrong)]] for rows in (first, second))
        raise BadInputError(
            f"{folder / LISTS / f'{name}_template_pair_label.txt'} says 0 of templates {one} and "
            f"{two}, and pairs with 1 make both of one person: copy it anew"
        )
    return TemplateSet(
        name,
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
        first=first,
        second=second,
        same=same,
        over="groups",
    )


def _media(path: Path) -> tuple[tuple[str, ...], Rows]:
    """Return the images, and the numbers of their templates and media, `(N, 2)`."""
    lines: dict[str, int] = {}
    numbers = []
    for line, text in read_lines(path):
        fields = text.split()
        if len(fields) != 3 or not all(_is_number(field) for field in fields[1:]):
            raise BadInputError(
                f"{path} line {line} must be an image's name and two whole numbers, of its "
                f"template and its medium: mend {text[:60]!r}"
            )
        image = relative(fields[0], f"{path} line {line}")
        if (earlier := lines.setdefault(image, line)) != line:
            raise BadInputError(
                f"{path} line {line} repeats {image} of line {earlier}: remove one of them"
            )
        numbers.append((int(fields[1]), int(fields[2])))
    if not numbers:
        raise BadInputError(f"{path} is empty: copy it anew")
    return tuple(lines), np.array(numbers, np.int32)


def _points(path: Path, images: tuple[str, ...], media: Path) -> tuple[Reals, Reals]:
    """Return landmarks `(N, 5, 2)` in pixels and the detector's scores `(N,)`."""
    values = np.empty((len(images), 11))
    line = 0
    for line, text in read_lines(path):
        name, *fields = text.split() or [""]
        image = relative(name, f"{path} line {line}") if name else ""
        if line > len(images) or image != images[line - 1]:
            raise BadInputError(
                f"{path} line {line} is not of the image in that line of {media}: both lists "
                "have the same images in the same order; copy them anew"
            )
        values[line - 1] = _eleven(fields)
        if not (np.abs(values[line - 1]) <= _LARGEST).all() or values[line - 1, 10] < 0:
            raise BadInputError(
                f"{path} line {line} must be an image's name, five points in pixels and a "
                f"score of 0 or more: mend {text[:60]!r}"
            )
    if line < len(images):
        raise BadInputError(
            f"{path} has {line:,} lines, and {media} names {len(images):,} images: copy both anew"
        )
    return values[:, :10].reshape(-1, 5, 2), values[:, 10].copy()


def _eleven(fields: list[str]) -> list[float]:
    """Return eleven numbers; none of them is one where the fields are not."""
    try:
        found = [float(field) for field in fields]
    except ValueError:
        found = []
    return found if len(found) == 11 else [np.nan] * 11


def _pairs(path: Path, names: Rows, media: Path) -> tuple[Rows, Rows, Booleans]:
    """Return the rows of both templates of each pair, and whether they are of one person."""
    numbers = read_numbers(path, _PAIR)
    first, second = (_rows(names, numbers[:, column]) for column in (0, 1))
    for what, wrong in (
        (f"a template that {media} lacks", (first < 0) | (second < 0)),
        ("one template twice", first == second),
        ("no label 1 or 0", numbers[:, 2] > 1),
    ):
        if wrong.any():
            line = int(np.argmax(wrong))
            raise BadInputError(
                f"{path} line {line + 1}, {' '.join(map(str, numbers[line]))}, has {what}: mend it"
            )
    return first, second, numbers[:, 2] == 1


def _rows(names: Rows, wanted: Rows) -> Rows:
    """Return where numbers `(P,)` are among ascending ones; -1 where they are not."""
    row = np.searchsorted(names, wanted).astype(np.int32)
    row[names[np.minimum(row, len(names) - 1)] != wanted] = -1
    return row


def _groups(first: Rows, second: Rows, templates: int) -> Rows:
    """Number the people: templates that a chain of genuine pairs joins are of one."""
    from scipy.sparse import coo_array  # not for all who list datasets: it takes a while
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((np.ones(len(first), np.int8), (first, second)), (templates, templates))
    people: Rows = connected_components(edges, directed=False)[1].astype(np.int32)
    return people


def _is_number(field: str) -> bool:
    return field.isascii() and field.isdigit() and len(field) < 10


def find_folder(stem: str, root: Path | None) -> Path | None:
    """Return the folder of a set in the one where data is kept, where it has lists."""
    kept = data_root(root)
    if kept is None:
        return None
    places = (kept / folder / stem for folder in FOLDERS)
    return next((place for place in places if (place / LISTS).is_dir()), None)


def _place(name: str, stem: str) -> str:
    return (
        f"a folder {stem} with {IMAGES}/ and {LISTS}/{name}_face_tid_mid.txt, "
        f"{name}_name_5pts_score.txt and {name}_template_pair_label.txt, as in insightface's "
        "archive of IJB (the images are given out by NIST on request)"
    )


def _open(name: str, stem: str, root: Path | None) -> FaceSet:
    folder = find_folder(stem, root)
    if folder is None:
        raise BadInputError(
            f"dataset {name} is not in {data_root(root) or 'a folder that was named'}: give with "
            f"--data or FACEBENCH_DATA a folder that holds {_place(name, stem)}"
        )
    return open_templates(name, folder)


for _name, _stem, _about in SETS:
    DATASETS.add(
        _name,
        Dataset(
            _name,
            label="",
            found=lambda root, stem=_stem: find_folder(stem, root) is not None,  # type: ignore[misc]
            open=partial(_open, _name, _stem),
            about=_about,
            measure="templates",
            protocol=(
                "Templates are sums over media, each the mean of its frames, weighed by the "
                "detector's scores; embeddings are not normalized before."
            ),
            place=_place(_name, _stem),
        ),
    )
