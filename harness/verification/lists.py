"""Reads lists that users write: pairs in a CSV file, and names in a text file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from facebench.architectures.errors import BadInputError
from facebench.harness.storage import writing
from facebench.harness.verification import people
from facebench.harness.verification.faces import Pair
from facebench.harness.verification.layout import csv_rows, decode_text

PAIR_COLUMNS = ("first", "second", "same", "fold")
# Optional: who is in the images.
PERSON_COLUMNS = ("first_person", "second_person")
_SAME = {"1": True, "true": True, "0": False, "false": False}


@dataclass(frozen=True)
class PairList:
    """It holds what a list of pairs says.

    Attributes:
        pairs: in the file's order.
        identities: who is in each image; empty where the list does not tell.
    """

    pairs: tuple[Pair, ...]
    identities: Mapping[str, str]


def read_pairs(data: bytes, where: str) -> PairList:
    """Return the pairs in a CSV file with the columns `PAIR_COLUMNS`, and perhaps `PERSON_COLUMNS`.

    Args:
        data: the whole file's bytes.
        where: what a message calls the file.

    Raises:
        BadInputError: a line has not that form, compares an image with itself,
            repeats a pair, or says of an image or a pair what another column or line does
            not; or a fold is empty.
    """
    # Editors leave blank lines at the end.
    rows = csv_rows(decode_text(data, where).rstrip(), where)
    head = tuple(next(rows, ()))
    if head not in (PAIR_COLUMNS, PAIR_COLUMNS + PERSON_COLUMNS):
        raise BadInputError(
            f"{where} line 1 must be {','.join(PAIR_COLUMNS)}, or have {','.join(PERSON_COLUMNS)} "
            "after these"
        )
    pairs = []
    identities: dict[str, str] = {}
    lines: dict[frozenset[str], int] = {}
    for number, row in enumerate(rows, start=2):
        here = f"{where} line {number}"
        if len(row) != len(head):
            raise BadInputError(f"{here} must be {','.join(head)}: mend it")
        pair = _pair(row, here)
        earlier = lines.setdefault(frozenset((pair.first, pair.second)), number)
        if earlier != number:
            raise BadInputError(f"{here} repeats the pair of line {earlier}: remove one of them")
        _name(identities, pair, row[len(PAIR_COLUMNS) :], here)
        pairs.append(pair)
    _check_folds(pairs, where)
    _check_chains(pairs, where)
    return PairList(tuple(pairs), identities)


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


def _name(identities: dict[str, str], pair: Pair, said: list[str], where: str) -> None:
    """Take in who is in the two images of a pair, where a line says so."""
    for key, person in zip((pair.first, pair.second), said, strict=False):
        if not person:
            raise BadInputError(f"{where} does not say who is in {key}: name the person")
        if (other := identities.setdefault(key, person)) != person:
            raise BadInputError(
                f"{where} says that {key} shows {person}, and a line before {other}: mend one"
            )
    if said and pair.same != (said[0] == said[1]):
        raise BadInputError(
            f"{where} says {'same' if pair.same else 'different'} of {said[0]} and "
            f"{said[1]}: mend the line"
        )


def _check_chains(pairs: list[Pair], where: str) -> None:
    """Refuse two images that a chain of genuine pairs joins, and another pair parts."""
    person = people.joined({key: key for pair in pairs for key in (pair.first, pair.second)}, pairs)
    for number, pair in enumerate(pairs, start=2):
        if not pair.same and person[pair.first] == person[pair.second]:
            raise BadInputError(
                f"{where} line {number} says that {pair.first} and {pair.second} show two people, "
                "and other lines that they show one: mend one of them"
            )


def _check_folds(pairs: list[Pair], where: str) -> None:
    folds = {pair.fold for pair in pairs}
    if not folds:
        raise BadInputError(f"{where} has no pairs: add a line for each")
    empty = next((fold for fold in range(max(folds)) if fold not in folds), None)
    if empty is not None:
        raise BadInputError(
            f"{where} has no pairs in fold {empty}: number the folds from 0 without gaps"
        )
