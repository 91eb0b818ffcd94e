"""Reads published lists of millions of lines, a part at a time, and names a line that is wrong.

What is read is never unpickled or evaluated, is a regular file and no link, and has a limit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from facebench.architectures.errors import BadInputError
from facebench.harness.verification.faces import Rows
from facebench.harness.verification.plain import open_plain

# The longest list that is known has 15,658,489 lines of at most 14 bytes.
_LARGEST = 2**31
_PART = 2**23
# No line of such a list is nearly as long.
_LONGEST_LINE = 2000
# So many digits are below 2^31; numbers of templates, media and people have six at most.
_DIGITS = 9
# By a byte's value: digits and what may stand between them.
_KNOWN = np.isin(np.arange(256), list(b"0123456789 \t\r\n"))


def read_numbers(path: Path, columns: Sequence[str]) -> Rows:
    """Return the whole numbers of a list, `(L, C)`, one line each, with spaces between.

    Args:
        path: the list.
        columns: what its C columns are, for a message.

    Raises:
        BadInputError: it is missing, no regular file or too large, or a line is no such numbers.
    """
    parts, number = [], 1
    with open_plain(path, _LARGEST) as file:
        while data := _part(file):
            part = _numbers(data, len(columns))
            if part is None:
                part = _one_by_one(_text(data, number, path), number, path, columns)
            parts.append(part)
            number += data.count(b"\n")
    if not sum(map(len, parts)):
        raise BadInputError(f"{path} is empty: copy it anew; a line has {' '.join(columns)}")
    return np.concatenate(parts)


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a text with their numbers, from 1.

    Raises:
        BadInputError: it is missing, no regular file or too large, a line is too long, or it is
            no UTF-8 text.
    """
    number = 1
    with open_plain(path, _LARGEST) as file:
        while data := _part(file):
            lines = _text(data, number, path)
            yield from enumerate(lines, start=number)
            number += len(lines)


def _part(file: BinaryIO) -> bytes:
    """Read some lines; the last may be cut where it is too long."""
    data = file.read(_PART)
    return data + file.readline(_LONGEST_LINE) if data else data


def _text(data: bytes, number: int, path: Path) -> list[str]:
    """Return lines of which the first has a number, or name the one that is none."""
    lines = []
    for line, raw in enumerate(data.splitlines(), start=number):
        if len(raw) >= _LONGEST_LINE:
            raise BadInputError(
                f"{path} line {line} has {_LONGEST_LINE} bytes or more: it is another file, or "
                "damaged; copy it anew"
            )
        try:
            # Some editors begin a text with a mark of its byte order.
            lines.append(raw.decode("utf-8-sig" if line == 1 else "utf-8"))
        except UnicodeDecodeError as error:
            raise BadInputError(f"{path} line {line} is no UTF-8 text: copy it anew") from error
    return lines


def _numbers(data: bytes, columns: int) -> Rows | None:
    """Return the numbers of a text, `(L, C)`; None where a line is not so many of them.

    All lines at a time: one after the other they would take several times as long.
    """
    text = np.frombuffer(data, np.uint8)
    digit = (text >= ord("0")) & (text <= ord("9"))
    if not np.all(_KNOWN[text]):
        return None
    edges = np.diff(np.concatenate([[False], digit, [False]]).astype(np.int8))
    starts, lengths = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    lengths -= starts
    ends = np.append(np.flatnonzero(text == ord("\n")), len(text))
    each = np.diff(np.searchsorted(starts, ends), prepend=0)
    # After the last line's end there is nothing.
    if (
        not len(starts)
        or lengths.max() > _DIGITS
        or np.any(each[: len(each) - (each[-1] == 0)] != columns)
    ):
        return None
    values = np.zeros(len(starts), np.int32)
    for place in range(int(lengths.max())):
        inside = lengths > place
        values[inside] = values[inside] * 10 + (text[starts[inside] + place] - ord("0"))
    return values.reshape(-1, columns)


def _one_by_one(lines: Sequence[str], first: int, path: Path, columns: Sequence[str]) -> Rows:
    """Read lines so that a wrong one is named; empty ones are left out."""
    rows = []
    for number, line in enumerate(lines, start=first):
        fields = line.split()
        if not fields:
            continue
        whole = all(
            field.isascii() and field.isdigit() and len(field) <= _DIGITS for field in fields
        )
        if len(fields) != len(columns) or not whole:
            raise BadInputError(
                f"{path} line {number} must be {len(columns)} whole numbers, "
                f"{' '.join(columns)}: mend {line[:60]!r}"
            )
        rows.append([int(field) for field in fields])
    return np.array(rows, np.int32).reshape(-1, len(columns))
