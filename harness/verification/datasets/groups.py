"""Sets whose pairs are of groups of people: RFW by origin, BFW by origin and sex.

RFW (M. Wang et al., "Racial Faces in the Wild", ICCV 2019) has in `test/txts/GROUP/` a list of
pairs of each group, in LFW's form without its first line, and of landmarks; a group's pairs are cut
into ten folds in their order. BFW (J. Robinson et al., "Face Recognition: Too Bias, or Not Too
Bias?", CVPRW 2020) has one table of all pairs, `bfw-*-datatable.csv`, with its five folds.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from facebench.architectures.errors import BadInputError
from facebench.harness.stats.arrays import Floats
from facebench.harness.verification.datasets.registry import DATASETS, Dataset, data_root
from facebench.harness.verification.faces import FaceSet, Pair, PairSet
from facebench.harness.verification.layout import image_key, parse_pair, read_landmarks
from facebench.harness.verification.lists import relative
from facebench.harness.verification.plain import PlainFolder
from facebench.harness.verification.tables import read_lines

RFW_GROUPS = ("African", "Asian", "Caucasian", "Indian")
RFW_FOLDS = 10
# Columns of BFW's table that are read; it has many more.
BFW_COLUMNS = ("fold", "p1", "p2", "label", "att1", "att2")
BFW_IMAGES = ("bfw-cropped-aligned", "uncropped-face-samples", "face-samples")
RFW_PLACE = (
    "a folder RFW with test/data/GROUP/PERSON/IMAGE and test/txts/GROUP/GROUP_pairs.txt and "
    f"GROUP_lmk.txt, GROUP being {', '.join(RFW_GROUPS)} (its authors give it out on request)"
)
BFW_PLACE = (
    f"a folder bfw with bfw-*-datatable.csv and the images in {' or '.join(BFW_IMAGES)} (its "
    "authors give it out on request)"
)


def open_rfw(folder: Path) -> PairSet:
    """Return RFW's pairs, group by group; images are not looked at.

    Args:
        folder: with `data` and `txts`.

    Raises:
        BadInputError: a list is missing, or a line of it malformed.
    """
    pairs: list[Pair] = []
    groups: list[str] = []
    landmarks: dict[str, Floats] = {}
    for group in RFW_GROUPS:
        lists = folder / "txts" / group
        found = list(_rfw_pairs(lists / f"{group}_pairs.txt", group))
        pairs += found
        groups += [group] * len(found)
        landmarks |= _rfw_landmarks(lists / f"{group}_lmk.txt")
    people = {key: key.split("/")[2] for pair in pairs for key in (pair.first, pair.second)}
    return PairSet(
        "rfw", "", PlainFolder(folder), landmarks, people, tuple(pairs), groups=tuple(groups)
    )


def _rfw_pairs(path: Path, group: str) -> Iterator[Pair]:
    lines = [(line, text) for line, text in read_lines(path) if text.strip()]
    if len(lines) < 2 * RFW_FOLDS:
        raise BadInputError(f"{path} has {len(lines)} pairs: ten folds need 20; copy it anew")
    for number, (line, text) in enumerate(lines):
        same = len(text.split("\t")) == 3
        one, two = parse_pair(text, same, f"{path} line {line}")
        yield Pair(
            f"data/{group}/{image_key(*one)}",
            f"data/{group}/{image_key(*two)}",
            same,
            number * RFW_FOLDS // len(lines),
        )


def _rfw_landmarks(path: Path) -> dict[str, Floats]:
    """Return landmarks by image: a line has the image, its person's number and five points."""
    found = {}
    for line, text in read_lines(path):
        name, _, *numbers = text.split() or ["", ""]
        try:
            points = np.array([float(number) for number in numbers]).reshape(5, 2)
        except ValueError:
            points = np.full((5, 2), np.nan)
        if not np.isfinite(points).all():
            raise BadInputError(
                f"{path} line {line} must be an image, a number and five points in pixels: mend "
                f"{text[:60]!r}"
            )
        found[relative(name.removeprefix("/test/"), f"{path} line {line}")] = points
    return found


def open_bfw(folder: Path, table: Path) -> PairSet:
    """Return BFW's pairs; images are not looked at.

    Args:
        folder: of the images.
        table: of the pairs.

    Raises:
        BadInputError: a line of the table is malformed, compares an image with itself, or has a
            label that the images' folders contradict.
    """
    pairs, groups = [], []
    for pair, group in _bfw_rows(table):
        pairs.append(pair)
        groups.append(group)
    if not pairs:
        raise BadInputError(f"{table} has no pairs: copy it anew")
    people = {key: _bfw_person(key) for pair in pairs for key in (pair.first, pair.second)}
    landmarks = folder / "landmarks.csv"
    return PairSet(
        "bfw",
        "",
        PlainFolder(folder),
        read_landmarks(landmarks) if landmarks.is_file() else {},
        people,
        tuple(pairs),
        groups=tuple(groups),
    )


def _bfw_rows(path: Path) -> Iterator[tuple[Pair, str]]:
    columns: list[int] = []
    for line, text in read_lines(path):
        fields = next(csv.reader([text]), [])
        if not columns:
            columns = [fields.index(name) if name in fields else -1 for name in BFW_COLUMNS]
            if -1 in columns:
                missing = BFW_COLUMNS[columns.index(-1)]
                raise BadInputError(f"{path} line 1 names no column {missing}: copy it anew")
            continue
        if not fields:
            continue
        here = f"{path} line {line}"
        row = [fields[column] if column < len(fields) else "" for column in columns]
        fold, first, second, label, one, two = row
        known = fold.isascii() and fold.isdigit() and len(fold) < 4 and int(fold) > 0
        if not known or label not in ("0", "1") or not one:
            raise BadInputError(
                f"{here} must have a fold from 1, a label 1 or 0 and a group: mend {text[:60]!r}"
            )
        pair = Pair(relative(first, here), relative(second, here), label == "1", int(fold) - 1)
        _require_consistent(pair, here)
        yield pair, one if one == two else f"{one} with {two}"


def _bfw_person(key: str) -> str:
    """Return who is in an image: it is GROUP/PERSON/FILE."""
    return key.rpartition("/")[0]


def _require_consistent(pair: Pair, where: str) -> None:
    """Refuse a pair of BFW that its label or itself makes none."""
    if pair.first == pair.second:
        raise BadInputError(f"{where} compares {pair.first} with itself: copy it anew")
    if pair.same != (_bfw_person(pair.first) == _bfw_person(pair.second)):
        raise BadInputError(
            f"{where} has the label {int(pair.same)}, and the folders of {pair.first} and "
            f"{pair.second} say otherwise: mend it"
        )


def _rfw_folder(root: Path | None) -> Path | None:
    kept = data_root(root)
    places = () if kept is None else (kept / "RFW/test", kept / "RFW", kept / "rfw")
    return next((place for place in places if (place / "txts").is_dir()), None)


def _bfw_folder(root: Path | None) -> tuple[Path, Path] | None:
    """Return BFW's folder of images and its table, where both are there."""
    kept = data_root(root)
    if kept is None:
        return None
    table = next(iter(sorted((kept / "bfw").glob("bfw-*-datatable.csv"))), None)
    images = next(
        (kept / "bfw" / name for name in BFW_IMAGES if (kept / "bfw" / name).is_dir()), None
    )
    return None if table is None or images is None else (images, table)


def _open_rfw(root: Path | None) -> FaceSet:
    folder = _rfw_folder(root)
    if folder is None:
        raise _missing("rfw", RFW_PLACE, root)
    return open_rfw(folder)


def _open_bfw(root: Path | None) -> FaceSet:
    found = _bfw_folder(root)
    if found is None:
        raise _missing("bfw", BFW_PLACE, root)
    return open_bfw(*found)


def _missing(name: str, place: str, root: Path | None) -> BadInputError:
    return BadInputError(
        f"dataset {name} is not in {data_root(root) or 'a folder that was named'}: give with "
        f"--data or FACEBENCH_DATA a folder that holds {place}"
    )


DATASETS.add(
    "rfw",
    Dataset(
        "rfw",
        label="",
        found=lambda root: _rfw_folder(root) is not None,
        open=_open_rfw,
        about="Racial Faces in the Wild: accuracy by origin (M. Wang et al., ICCV 2019)",
        place=RFW_PLACE,
        protocol="Each group's accuracy is at thresholds of its own, and the widest gap is told.",
    ),
)
DATASETS.add(
    "bfw",
    Dataset(
        "bfw",
        label="",
        found=lambda root: _bfw_folder(root) is not None,
        open=_open_bfw,
        about="Balanced Faces in the Wild: accuracy by origin and sex (J. Robinson et al., 2020)",
        place=BFW_PLACE,
        protocol="FAR and FRR of each group are at one threshold of all pairs; five folds.",
    ),
)
