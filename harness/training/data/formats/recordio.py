"""insightface's training sets: `train.rec`, with `train.idx` beside it where it is at hand.

The file is MXNet's RecordIO, read here without mxnet. A record is a magic number,
a word of which the upper 3 bits say what part it is and the lower 29 how many bytes
follow, these bytes, and zeros up to a multiple of 4 bytes (dmlc-core,
`include/dmlc/recordio.h`). Data that holds the magic number at a multiple of 4 bytes is
cut there into several parts. A record of an image begins with a header (mxnet's
`IRHeader`: flag, label, id, id2); a flag above 0 says how many labels follow
instead of the one in the header. insightface (`face2rec2.py`) adds records without
images, which say where each person's images are; they are not needed to read the others.
"""

from __future__ import annotations

import mmap
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facebench.architectures.errors import BadInputError
from facebench.harness.stats.arrays import IntArray
from facebench.harness.storage.reading import regular
from facebench.harness.training.data.formats.registry import FORMATS, Format, only
from facebench.harness.training.data.source import Source, Span, from_spans

MAGIC = 0xCED7230A
_PART = struct.Struct("<II")
_HEADER = struct.Struct("<IfQQ")
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)
_MOST_LABEL = 2**31


@dataclass(frozen=True)
class _Record:
    """A record's place, its label, and whether it has an image."""

    start: int
    stop: int
    label: float
    image: bool


def _open(path: Path) -> Source:
    return from_spans(path, lambda: _index(path), decode=image_of)


def _index(path: Path) -> list[Span]:
    records = list(_records(path))
    _compare(path, np.array([record.start for record in records], np.int64))
    spans = []
    for number, record in enumerate(records):
        if not record.image:
            continue
        if not (0 <= record.label < _MOST_LABEL and record.label == int(record.label)):
            raise BadInputError(
                f"{path}: record {number} has the label {record.label}, which is no number of a "
                "person: copy the file anew, or make it anew with whole labels from 0"
            )
        label = str(int(record.label))
        name = f"{label}/{number}"
        spans.append(Span(record.start, record.stop - record.start, label, name))
    return spans


def _records(path: Path) -> Iterator[_Record]:
    """Yield all records, by one walk through the file."""
    try:
        with (
            regular(path).open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            at = 0
            while at < len(data):
                parts, stop, following = _parts(data, at)
                yield _record(data, parts, at, stop)
                at = following
    except ValueError as error:
        raise BadInputError(
            f"{path} is damaged or no RecordIO file ({error}): copy it anew"
        ) from error
    except OSError as error:
        raise BadInputError(f"cannot read {path}: {error.strerror}; check the path") from error


def _parts(data: bytes | mmap.mmap, at: int) -> tuple[list[slice], int, int]:
    """Return the parts of the record at a byte, where it stops, and where the next one begins."""
    parts: list[slice] = []
    while True:
        if at + _PART.size > len(data):
            raise ValueError(f"cut off at byte {at:,}")
        magic, word = _PART.unpack_from(data, at)
        kind, size = word >> 29, word & (2**29 - 1)
        start = at + _PART.size
        if magic != MAGIC or kind not in ((_MIDDLE, _LAST) if parts else (_WHOLE, _FIRST)):
            raise ValueError(f"no record at byte {at:,}")
        if start + size > len(data):
            raise ValueError(f"a record at byte {at:,} is cut off")
        parts.append(slice(start, start + size))
        at = start + (size + 3) // 4 * 4
        if kind in (_WHOLE, _LAST):
            return parts, start + size, at


def _record(data: mmap.mmap, parts: list[slice], start: int, stop: int) -> _Record:
    first = parts[0]
    if len(parts) == 1 and first.stop - first.start >= _HEADER.size:
        # The image's bytes are not touched: of 26 GB, the pages with headers are read.
        flag, label, _, _ = _HEADER.unpack_from(data, first.start)
        size = first.stop - first.start - _HEADER.size - 4 * flag
        if flag and size >= 0:
            (label,) = struct.unpack_from("<f", data, first.start + _HEADER.size)
    else:
        label, image = _unpack(_joined(data, parts))
        size = len(image)
    if size < 0:
        raise ValueError(f"the record at byte {start:,} is shorter than its labels")
    return _Record(start, stop, label, size > 0)


def _joined(data: bytes | mmap.mmap, parts: list[slice]) -> bytes:
    return struct.pack("<I", MAGIC).join(data[part] for part in parts)


def _unpack(payload: bytes) -> tuple[float, bytes]:
    """Return the label and the encoded image of a record."""
    if len(payload) < _HEADER.size:
        raise ValueError("a record is shorter than its header")
    flag, label, _, _ = _HEADER.unpack_from(payload)
    start = _HEADER.size + 4 * flag
    if start > len(payload):
        raise ValueError("a record is shorter than its labels")
    if flag:
        (label,) = struct.unpack_from("<f", payload, _HEADER.size)
    return label, payload[start:]


def image_of(record: bytes) -> bytes:
    """Return the encoded image in a record, given all its parts.

    Raises:
        ValueError: it is damaged.
    """
    parts, _, _ = _parts(record, 0)
    return _unpack(_joined(record, parts))[1]


def _compare(path: Path, starts: IntArray) -> None:
    """See that the index beside the file, where there is one, lists the records found.

    A file that is cut off right between two records is only found out so.
    """
    beside = path.with_suffix(".idx")
    if not beside.is_file():
        return
    try:
        with warnings.catch_warnings():
            # Of a file without lines numpy only warns.
            warnings.simplefilter("error")
            listed = np.loadtxt(beside, np.int64, comments=None, ndmin=2, usecols=(0, 1))[:, 1]
    except (ValueError, IndexError, OverflowError, UserWarning) as error:
        raise BadInputError(
            f"{beside} is not two numbers a line, of a record and its byte: copy it anew, or move "
            "it away to read without it"
        ) from error
    if not np.array_equal(np.sort(listed), starts):
        raise BadInputError(
            f"{path} has {len(starts):,} records and {beside.name} lists {len(listed):,}, or at "
            "other places: copy both anew; or move the index away, if only it is wrong"
        )


FORMATS.add(
    "rec",
    Format(
        "rec",
        "insightface's train.rec (with train.idx beside it), or the folder that holds it",
        lambda path: only(path, ".rec", "train.rec"),
        _open,
    ),
)
