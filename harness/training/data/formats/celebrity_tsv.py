"""MS-Celeb-1M as it was distributed: one text file, an image a line.

Seven columns with tabs between: Freebase MID, search rank, image URL, page URL,
face ID, face rectangle, and the image's bytes in base64 (the data set's page, "Cropped
and aligned faces"; Y. Guo et al., "MS-Celeb-1M", ECCV 2016, arXiv 1607.08221). The faces
are aligned in a way of their own, up to 300x300: give landmarks.
"""

from __future__ import annotations

import base64
import mmap
from collections.abc import Iterator
from pathlib import Path

from facebench.architectures.errors import BadInputError
from facebench.harness.storage.reading import regular
from facebench.harness.training.data.formats.registry import FORMATS, Format, only
from facebench.harness.training.data.source import Source, Span, from_spans

COLUMNS = 7
_MID, _RANK, _FACE = 0, 1, 4
# All columns but the image: two addresses and five short texts. A line of something else
# may be as long as the file.
_MOST_BEFORE = 2**16


def _open(path: Path) -> Source:
    return from_spans(path, lambda: _index(path), decode=_image)


def _index(path: Path) -> list[Span]:
    spans = list(_lines(path))
    lines: dict[str, int] = {}
    for number, span in enumerate(spans, start=1):
        if lines.setdefault(span.name, number) != number:
            raise BadInputError(
                f"{path} line {number} repeats the image {span.name} of line {lines[span.name]}: "
                "remove one of them"
            )
    return spans


def _lines(path: Path) -> Iterator[Span]:
    try:
        with (
            regular(path).open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            at, number = 0, 1
            while at < len(data):
                found = data.find(b"\n", at)
                stop = found if found >= 0 else len(data)
                yield _span(data, at, stop, f"{path} line {number}")
                at, number = stop + 1, number + 1
    except ValueError:
        raise BadInputError(f"{path} is empty: copy it anew") from None
    except OSError as error:
        raise BadInputError(f"cannot read {path}: {error.strerror}; check the path") from error


def _span(data: mmap.mmap, start: int, stop: int, where: str) -> Span:
    if data[stop - 1 : stop] == b"\r":
        stop -= 1
    fields = data[start : min(stop, start + _MOST_BEFORE)].split(b"\t", COLUMNS - 1)
    text = [field.decode(errors="replace") for field in fields[:-1]]
    before = sum(map(len, fields[:-1])) + COLUMNS - 1
    if len(fields) != COLUMNS or start + before >= stop or b"\t" in fields[-1]:
        raise BadInputError(
            f"{where} has not the {COLUMNS} columns of MS-Celeb-1M's aligned faces, the last one "
            "the image in base64: copy the file anew"
        )
    name = f"{text[_MID]}/{text[_RANK]}-{text[_FACE]}"
    if name.count("/") != 1 or not text[_MID] or not name.isprintable():
        raise BadInputError(f"{where} has a slash or no text in its identity or image: mend it")
    return Span(start + before, stop - start - before, text[_MID], name)


def _image(text: bytes) -> bytes:
    return base64.b64decode(text, validate=True)


FORMATS.add(
    "tsv",
    Format(
        "tsv",
        "MS-Celeb-1M's aligned faces as a .tsv file",
        lambda path: only(path, ".tsv", "FaceImageCroppedWithAlignment.tsv"),
        _open,
    ),
)
