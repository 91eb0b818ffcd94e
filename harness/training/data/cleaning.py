"""Lists of whom to leave out of a training set, or to merge: written by a command, read by `load`.

A list is a CSV file that a user may shorten or add to by hand.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facebench.architectures.errors import BadInputError
from facebench.harness.stats.arrays import IntArray
from facebench.harness.storage import writing
from facebench.harness.training.data.source import Source
from facebench.harness.verification.layout import csv_rows, decode_text, read_bytes

COLUMNS = ("action", "identity", "image", "other", "cosine", "reason")
LEAVE_OUT, MERGE = "leave out", "merge"


@dataclass(frozen=True)
class Finding:
    """One thing that a training set is better without.

    Attributes:
        action: `LEAVE_OUT` or `MERGE`, into the identity `other`.
        identity: whose.
        image: its name, `identity/image`; empty for all of the identity.
        other: what was found near: an image of a test set, or an identity.
        cosine: how near, -1 to 1; not a number where it was written by hand.
        reason: in words.
    """

    action: str
    identity: str
    image: str
    other: str
    cosine: float
    reason: str


def write(path: Path, findings: Iterable[Finding]) -> None:
    """Write a list that `read` reads; no file is overwritten.

    Raises:
        BadInputError: there is a file already, or it can't be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(
        [f.action, f.identity, f.image, f.other, f"{f.cosine:.4f}", f.reason] for f in findings
    )
    try:
        writing.create(path, text.getvalue())
    except FileExistsError:
        raise BadInputError(
            f"{path} is there already, and networks may have been trained by it: name another "
            "file, or move it away"
        ) from None
    except OSError as error:
        raise BadInputError(
            f"cannot write {path}: {error.strerror}; choose another folder"
        ) from error


def read(path: Path) -> list[Finding]:
    """Return the list in a CSV file with the columns `COLUMNS`; the last two may be empty.

    Raises:
        BadInputError: it can't be read, or a line has not that form.
    """
    rows = csv_rows(decode_text(read_bytes(path), str(path)), str(path))
    if tuple(next(rows, ())) != COLUMNS:
        raise BadInputError(f"{path} line 1 must be {','.join(COLUMNS)}")
    return [_finding(row, f"{path} line {number}") for number, row in enumerate(rows, start=2)]


def _finding(row: Sequence[str], where: str) -> Finding:
    if len(row) != len(COLUMNS) or row[0] not in (LEAVE_OUT, MERGE) or not row[1]:
        raise BadInputError(
            f"{where} is not {len(COLUMNS)} fields that begin with '{LEAVE_OUT}' or '{MERGE}' and "
            "an identity: mend it"
        )
    action, identity, image, other, cosine, reason = row
    if action == MERGE and (image or not other or other == identity):
        raise BadInputError(f"{where} must name two identities to merge and no image: mend it")
    try:
        return Finding(action, identity, image, other, float(cosine or "nan"), reason)
    except ValueError:
        raise BadInputError(f"{where}: {cosine!r} is no cosine: mend it") from None


def apply(
    findings: Sequence[Finding], source: Source, where: str
) -> tuple[IntArray, IntArray, tuple[str, ...]]:
    """Return what a list leaves of a training set.

    Args:
        findings: what to leave out and to merge.
        source: the training set, N images.
        where: what a message calls the list.

    Returns:
        The images that remain, `(M,)`, their identities' numbers `(M,)`, and
        sentences on what was done.

    Raises:
        BadInputError: the list names an identity or an image that is not there, or
            merges in a circle.
    """
    numbers = {name: number for number, name in enumerate(source.identities)}
    _require_known(findings, source, numbers, where)
    out = [f for f in findings if f.action == LEAVE_OUT]
    images = {f.image for f in out if f.image}
    people = {numbers[f.identity] for f in out if not f.image}
    into = {numbers[f.identity]: numbers[f.other] for f in findings if f.action == MERGE}
    ends = np.array([_end(number, into, where) for number in range(len(numbers))], np.int64)
    gone = np.isin(source.people, list(people))
    if images:
        gone |= np.fromiter((name in images for name in source.names), bool, len(gone))
    rows = np.flatnonzero(~gone)
    note = (
        f"{int(gone.sum()):,} of {len(gone):,} images left out and {len(into):,} identities "
        f"merged into others, by {where}"
    )
    return rows, ends[source.people[rows]], (note,)


def _require_known(
    findings: Sequence[Finding], source: Source, numbers: dict[str, int], where: str
) -> None:
    wanted = {f.image for f in findings if f.image}
    missing = wanted.difference(source.names) if wanted else set()
    for finding in findings:
        named = [finding.identity] + ([finding.other] if finding.action == MERGE else [])
        unknown = [name for name in named if name not in numbers]
        unknown += [finding.image] if finding.image in missing else []
        if unknown:
            raise BadInputError(
                f"{where} names {unknown[0]}, which {source.path} does not hold: use a list that "
                "was made of this training set"
            )


def _end(number: int, into: dict[int, int], where: str) -> int:
    """Whom an identity is merged into at last."""
    steps = 0
    while number in into:
        number, steps = into[number], steps + 1
        if steps > len(into):
            raise BadInputError(f"{where} merges identities in a circle: remove one of its lines")
    return number
