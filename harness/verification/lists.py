"""Lists that users write: pairs in a CSV file, and names in a text file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from facebench.architectures.errors import BadInputError
from facebench.harness.storage import writing
from facebench.harness.verification.faces import Pair
from facebench.harness.verification.layout import decode_text

PAIR_COLUMNS = ("first", "second", "same", "fold")
_SAME = {"1": True, "true": True, "0": False, "false": False}


def read_pairs(data: bytes, where: str) -> tuple[Pair, ...]:
    """The pairs in a CSV file with the columns `PAIR_COLUMNS`.

    Args:
        data: the whole file's bytes.
        where: what a message calls the file.

    Raises:
        BadInputError: a line has not that form, compares an image with itself, or
            repeats a pair; or a fold is empty.
    """
    # Editors leave blank lines at the end.
    rows = csv.reader(decode_text(data, where).rstrip().splitlines())
    if tuple(next(rows, ())) != PAIR_COLUMNS:
        raise BadInputError(f"{where} line 1 must be {','.join(PAIR_COLUMNS)}")
    pairs = []
    lines: dict[frozenset[str], int] = {}
    for number, row in enumerate(rows, start=2):
        pair = _pair(row, f"{where} line {number}")
        earlier = lines.setdefault(frozenset((pair.first, pair.second)), number)
        if earlier != number:
            raise BadInputError(
                f"{where} line {number} repeats the pair of line {earlier}: remove one of them"
            )
        pairs.append(pair)
    _check_folds(pairs, where)
    return tuple(pairs)


def write_pairs(path: Path, pairs: Iterable[Pair]) -> None:
    """Write a list that `read_pairs` reads; no file is overwritten.

    Raises:
        BadInputError: there is a file already, or it can't be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(PAIR_COLUMNS)
    writer.writerows([p.first, p.second, int(p.same), p.fold] for p in pairs)
    try:
        writing.create(path, text.getvalue())
    except FileExistsError:
        raise BadInputError(
            f"{path} is there already and may be what results were scored on: name another file, "
            "or move it away"
        ) from None
    except OSError as error:
        raise BadInputError(
            f"cannot write {path}: {error.strerror}; choose another folder"
        ) from error


def check_identities(pairs: Iterable[Pair], identities: Mapping[str, str], where: str) -> None:
    """See that pairs are called the same where the folders are.

    Raises:
        BadInputError: they are not, or an image is in no identity's folder.
    """
    for number, pair in enumerate(pairs, start=2):
        for key in (pair.first, pair.second):
            if key not in identities:
                raise BadInputError(
                    f"{where} line {number} names {key}, which is no image in a folder of its "
                    "person: mend the line, or put the image there"
                )
        if pair.same != (identities[pair.first] == identities[pair.second]):
            raise BadInputError(
                f"{where} line {number} says {'same' if pair.same else 'different'}, and the "
                f"folders of {pair.first} and {pair.second} say otherwise: mend the line"
            )


def read_names(data: bytes, where: str) -> list[str]:
    """Return relative names, one a line, in their order; empty lines and `#` comments are left out.

    Raises:
        BadInputError: a name leads outside the folder, or is there twice.
    """
    lines: dict[str, int] = {}
    for number, line in enumerate(decode_text(data, where).splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name = relative(line.strip(), f"{where} line {number}")
        if lines.setdefault(name, number) != number:
            raise BadInputError(
                f"{where} line {number} repeats {name} of line {lines[name]}: remove one of them"
            )
    return list(lines)


def relative(name: str, where: str) -> str:
    """Return a name in its plain form, which is seen to stay below its folder.

    Raises:
        BadInputError: it is empty, absolute, or has `..` or a backslash in it.

    Example:
        >>> relative("./Ann//1.jpg", "line 2")
        'Ann/1.jpg'
    """
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
        raise BadInputError(
            f"{where} names {name!r}: it must be the relative name of an image below the folder, "
            "with forward slashes"
        )
    return "/".join(parts)


def _pair(row: list[str], where: str) -> Pair:
    if len(row) != len(PAIR_COLUMNS):
        raise BadInputError(f"{where} must be {','.join(PAIR_COLUMNS)}: mend it")
    first, second = relative(row[0], where), relative(row[1], where)
    same, fold = _SAME.get(row[2].strip().lower()), row[3].strip()
    if same is None:
        raise BadInputError(f"{where}: same is {row[2]!r}, which must be 1 or 0")
    # Nobody has a thousand folds; an enormous number would make as many empty ones.
    if not (fold.isascii() and fold.isdigit() and len(fold) < 4):
        raise BadInputError(f"{where}: fold is {row[3]!r}, which must be 0 to 999")
    if first == second:
        raise BadInputError(f"{where} compares {first} with itself: name another image")
    return Pair(first, second, same, int(fold))


def _check_folds(pairs: list[Pair], where: str) -> None:
    folds = {pair.fold for pair in pairs}
    if not folds:
        raise BadInputError(f"{where} has no pairs: add a line for each")
    empty = next((fold for fold in range(max(folds)) if fold not in folds), None)
    if empty is not None:
        raise BadInputError(
            f"{where} has no pairs in fold {empty}: number the folds from 0 without gaps"
        )
