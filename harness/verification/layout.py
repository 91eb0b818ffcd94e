"""The layout of Labeled Faces in the Wild: the one loader of real and drawn faces.

A folder, or an archive of it, with one folder an identity, images named
`<identity>/<identity>_<four digits>.jpg`, `pairs.txt`, and a CSV file of five
landmarks for each image.

Format of `pairs.txt`: the README of LFW, section "View 2"; G. B. Huang et al.,
"Labeled Faces in the Wild", University of Massachusetts, Technical Report 07-49, 2007.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from facebench.architectures.errors import BadInputError
from facebench.harness.stats.arrays import Floats
from facebench.harness.storage.reading import regular
from facebench.harness.verification.faces import Pair, PairSet
from facebench.harness.verification.files import Files

PAIRS = "pairs.txt"
LANDMARK_COLUMNS = (
    "image",
    *(
        f"{point}_{axis}"
        for point in ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
        for axis in ("x", "y")
    ),
)


def image_key(identity: str, number: int) -> str:
    """Name of an identity's image.

    Example:
        >>> image_key("Aaron_Eckhart", 1)
        'Aaron_Eckhart/Aaron_Eckhart_0001.jpg'
    """
    return f"{identity}/{identity}_{number:04d}.jpg"


def open_layout(
    name: str, label: str, files: Files, landmarks: Path, pairs: Path | None = None
) -> PairSet:
    """Read pairs and landmarks. Images are not looked at: see `inspection`.

    Args:
        name: of the dataset.
        label: what limits the meaning of its scores; empty for real faces.
        files: the folder or archive.
        landmarks: the CSV file; where there is none, no image has landmarks.
        pairs: `pairs.txt`, where it is not among the files.

    Raises:
        BadInputError: a list is malformed, or there are no pairs.
    """
    found = _pairs(*_pairs_text(files, pairs))
    points = read_landmarks(landmarks) if landmarks.is_file() else {}
    identities = {key: key.partition("/")[0] for p in found for key in (p.first, p.second)}
    return PairSet(name, label, files, points, identities, found)


def _pairs_text(files: Files, outside: Path | None) -> tuple[str, str]:
    """Return the text of a `pairs.txt`, and where it is."""
    if outside is None:
        where = files.describe(PAIRS)
        return decode_text(files.read(PAIRS), where), where
    return decode_text(read_bytes(outside), str(outside)), str(outside)


def _pairs(text: str, where: str) -> tuple[Pair, ...]:
    """Return the pairs of a `pairs.txt`."""
    lines = text.rstrip().splitlines()
    folds, each = _header(lines[0] if lines else "", where)
    if len(lines) != 1 + folds * each * 2:
        raise BadInputError(
            f"{where} has {len(lines) - 1} pairs where its first line promises {folds} folds of "
            f"{each} genuine and {each} impostor pairs: copy the file anew, or mend that line"
        )
    pairs = []
    for number, line in enumerate(lines[1:], start=2):
        fold, rank = divmod(number - 2, 2 * each)
        pairs.append(_pair(line, rank < each, fold, f"{where} line {number}"))
    return tuple(pairs)


def _header(line: str, where: str) -> tuple[int, int]:
    fields = line.split()
    if len(fields) == 2 and all(_is_count(field) for field in fields):
        return int(fields[0]), int(fields[1])
    raise BadInputError(
        f"{where} line 1 is not two numbers, of folds and of genuine pairs a fold (such as "
        "'10 300'): use the pairs.txt of View 2"
    )


def _pair(line: str, same: bool, fold: int, where: str) -> Pair:
    first, second = (image_key(*image) for image in parse_pair(line, same, where))
    return Pair(first, second, same, fold)


def parse_pair(line: str, same: bool, where: str) -> tuple[tuple[str, int], tuple[str, int]]:
    """Return both images of one line, each as identity and number.

    A genuine pair is `identity i j`, an impostor pair `identity i identity j`. Names may have
    spaces where tabs part the fields.

    Raises:
        BadInputError: it is not such a pair, or of an image with itself.
    """
    fields = [field.strip() for field in line.split("\t")] if "\t" in line else line.split()
    if same and len(fields) == 3:
        fields.insert(2, fields[0])
    if len(fields) != 4 or same != (fields[0] == fields[2]):
        shape = "'identity number number'" if same else "'identity number identity number'"
        kind = "a genuine" if same else "an impostor"
        raise BadInputError(
            f"{where} is not {kind} pair, {shape} with {'one identity' if same else 'two'}: "
            f"mend it, with tabs between the fields where names have spaces: {line!r}"
        )
    first, second = _image(fields[0], fields[1], where), _image(fields[2], fields[3], where)
    if first == second:
        raise BadInputError(f"{where} compares {image_key(*first)} with itself: name another image")
    return first, second


def _image(identity: str, number: str, where: str) -> tuple[str, int]:
    if not _is_count(number) or identity in (".", "..") or set(identity) & set("/\\\0"):
        raise BadInputError(
            f"{where} names image {number[:60]!r} of identity {identity[:60]!r}: the identity must "
            "be a folder's name and the number 1 or more, of nine digits at most"
        )
    return identity, int(number)


def _is_count(field: str) -> bool:
    # Python refuses to read numbers of thousands of digits.
    return field.isascii() and field.isdigit() and len(field) < 10 and int(field) > 0


def read_landmarks(path: Path) -> dict[str, Floats]:
    """Return landmarks by image, each `(5, 2)`: x and y in pixels, in the order of
    `LANDMARK_COLUMNS`.

    Raises:
        BadInputError: the file is missing, or a line of it is malformed or contradicts another.
    """
    try:
        text = decode_text(regular(path).read_bytes(), str(path))
    except OSError as error:
        raise BadInputError(
            f"cannot read the landmarks {path}: {error.strerror}; put a CSV file there with the "
            f"columns {','.join(LANDMARK_COLUMNS)}"
        ) from error
    rows = csv_rows(text.rstrip(), str(path))
    if tuple(next(rows, ())) != LANDMARK_COLUMNS:
        raise BadInputError(f"{path} line 1 must be {','.join(LANDMARK_COLUMNS)}")
    found: dict[str, Floats] = {}
    for number, (key, points) in enumerate(_landmark_rows(rows, path), start=2):
        if not np.array_equal(found.setdefault(key, points), points):
            raise BadInputError(
                f"{path} line {number} gives other landmarks for {key} than a line before: remove "
                "one of them"
            )
    return found


def _landmark_rows(rows: Iterable[list[str]], path: Path) -> Iterator[tuple[str, Floats]]:
    for number, row in enumerate(rows, start=2):
        try:
            points = np.array([float(field) for field in row[1:]]).reshape(5, 2)
        except ValueError:
            points = np.array([np.nan])
        if not np.isfinite(points).all():
            raise BadInputError(
                f"{path} line {number} is not an image's name and ten numbers, in pixels: mend it"
            )
        yield row[0], points


def write_layout(folder: Path, pairs: Iterable[Pair], landmarks: dict[str, Floats]) -> None:
    """Write `pairs.txt` and `landmarks.csv` for images that are in `folder` already.

    Args:
        folder: where the identities' folders are.
        pairs: fold by fold, genuine pairs before as many impostor pairs.
        landmarks: by image, each `(5, 2)`, in pixels.
    """
    pairs = list(pairs)
    folds = pairs[-1].fold + 1
    lines = [f"{folds}\t{len(pairs) // (2 * folds)}"]
    for pair in pairs:
        (first, i), (second, j) = _parts(pair.first), _parts(pair.second)
        lines.append("\t".join([first, i, j] if pair.same else [first, i, second, j]))
    (folder / PAIRS).write_text("\n".join(lines) + "\n")
    with (folder / "landmarks.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(LANDMARK_COLUMNS)
        # repr keeps every digit, so that what is read is what was drawn.
        writer.writerows(
            [key, *map(repr, points.ravel().tolist())] for key, points in landmarks.items()
        )


def _parts(key: str) -> tuple[str, str]:
    """Identity and number of an image, as `pairs.txt` writes them."""
    identity, _, name = key.partition("/")
    return identity, str(int(name.removeprefix(f"{identity}_").removesuffix(".jpg")))


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a list.

    Raises:
        BadInputError: it can't be read.
    """
    try:
        return regular(path).read_bytes()
    except OSError as error:
        raise BadInputError(
            f"cannot read {path}: {error.strerror}; put it there or check its permissions"
        ) from error


def csv_rows(text: str, where: str) -> Iterator[list[str]]:
    """Yield the rows of a CSV text.

    Args:
        text: a whole file's.
        where: what a message calls the file.

    Raises:
        BadInputError: it is no CSV, such as where a field has more than 128 kB.
    """
    try:
        yield from csv.reader(text.splitlines())
    except csv.Error as error:
        raise BadInputError(f"{where} is no CSV file ({error}): write it anew") from error


def decode_text(data: bytes, where: str) -> str:
    """Return the text of a list; a byte-order mark, which spreadsheets write, is left out.

    Args:
        data: a whole file's bytes.
        where: what a message calls the file.

    Raises:
        BadInputError: it is no text.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInputError(f"{where} is not UTF-8 text: copy it anew") from error
