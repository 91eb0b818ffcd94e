"""Files in the forms in which people write them are read right, or refused in a sentence.

Each generator knows the right value; the reader may refuse a form, and may not take it for
something else.
"""

from __future__ import annotations

import csv
import io
import json
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from facebench.architectures.errors import BadInputError
from facebench.harness.records.case import Case
from facebench.harness.records.latency import Latency
from facebench.harness.records.record import Record, to_json
from facebench.harness.records.store import Store
from facebench.harness.verification.images import decode
from facebench.harness.verification.layout import LANDMARK_COLUMNS, read_landmarks
from facebench.harness.verification.lists import PAIR_COLUMNS, read_names, read_pairs

ENDS = st.sampled_from(["\n", "\r\n", "\r"])
# A byte-order mark as spreadsheets write it, other encodings, and plain text.
ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"])
QUOTING = st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
DELIMITERS = st.sampled_from([",", ",", ",", ";", "\t", ", "])
NAMES = st.lists(
    st.from_regex(r"[A-Za-z0-9é顔_ ,'\"()&+-]{1,12}/[a-z0-9_]{1,6}\.(jpg|png)", fullmatch=True),
    min_size=3, max_size=6, unique=True,
)  # fmt: skip


@st.composite
def tables(draw: st.DrawFn, head: tuple[str, ...], rows: list[list[str]]) -> bytes:
    """A table as some program or person writes it."""
    delimiter, end = draw(DELIMITERS), draw(ENDS)
    order = draw(st.sampled_from([list(range(len(head))), draw(st.permutations(range(len(head))))]))
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter[0], quoting=draw(QUOTING), lineterminator=end)
    title = draw(st.sampled_from([str, str, str.upper, str.title]))
    for row in ([title(word) for word in head], *rows):
        writer.writerow([row[place] for place in order])
    written = text.getvalue()
    if len(delimiter) > 1:
        written = written.replace(",", delimiter)
    written += draw(st.sampled_from(["", end, end * 3, f"  {end}"]))
    written = draw(st.sampled_from(["", "", "# made by hand" + end, end])) + written
    return written.encode(draw(ENCODINGS), "replace")


NUMBERS = st.sampled_from([repr, "{:.3f}".format, "{:e}".format, "{:+.4f}".format, " {} ".format])


@given(st.data(), NAMES, st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=60)
def test_landmarks(data: st.DataObject, names: list[str], seed: int) -> None:
    points = np.random.default_rng(seed).uniform(1, 250, (len(names), 10))
    form = data.draw(NUMBERS)
    rows = [[n, *map(form, p.tolist())] for n, p in zip(names, points, strict=True)]
    twice = data.draw(st.booleans())
    if twice:
        rows.append([names[0], *map(form, (points[0] + 9).tolist())])
    written = data.draw(tables(LANDMARK_COLUMNS, rows))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "landmarks.csv"
        path.write_bytes(written)
        try:
            found = read_landmarks(path)
        except BadInputError:
            return
    assert not twice
    for name, right in zip(names, points, strict=True):
        if name in found:  # in another encoding it is another name, which no image has
            np.testing.assert_allclose(found[name].ravel(), right, rtol=1e-3)


WORDS = {True: ("1", "true", "True", "yes", "same", "1.0"), False: ("0", "false", "FALSE", "no")}


@given(st.data(), NAMES)
@settings(deadline=None, max_examples=60)
def test_lists_of_pairs(data: st.DataObject, names: list[str]) -> None:
    right = [
        (one, two, data.draw(st.booleans()), number % 2)
        for number, (one, two) in enumerate(pairwise(names))
    ]
    rows = [
        [one, two, data.draw(st.sampled_from(WORDS[same])), data.draw(st.sampled_from(
            [str(fold), f"{fold}.0", f" {fold}", f"0{fold}"]))]
        for one, two, same, fold in right
    ]  # fmt: skip
    written = data.draw(tables(PAIR_COLUMNS, rows))
    try:
        found = read_pairs(written, "x").pairs
    except BadInputError:
        return
    assert [(p.same, p.fold) for p in found] == [(same, fold) for *_, same, fold in right]
    for pair, (one, two, *_) in zip(found, right, strict=True):
        # A name that is read as another one is no image's.
        assert pair.first in (one, " ".join(one.split())) or pair.first not in names
        assert pair.second in (two, " ".join(two.split())) or pair.second not in names


@given(st.data(), NAMES, ENDS, ENCODINGS)
@settings(deadline=None, max_examples=40)
def test_lists_of_names(data: st.DataObject, names: list[str], end: str, encoding: str) -> None:
    forms = st.sampled_from(["{}", "./{}", " {} ", "{}\t", "/{}", "../{}", "{}" + end])
    lines = [data.draw(forms).format(name) for name in names]
    try:
        found = read_names(end.join(lines).encode(encoding, "replace"), "x")
    except BadInputError:
        return
    if encoding.startswith("utf-8"):
        # Behind "./" a space is the name's own; at the ends of a line it is nobody's.
        assert all(one in (name, name.strip()) for one, name in zip(found, names, strict=True))
    assert len(found) == len(names)


# Smooth, so that what a JPEG loses is little, and unlike all its turns and mirror images.
ROWS, COLUMNS = np.mgrid[:48, :64]
SEEN = np.stack([ROWS * 4, COLUMNS * 3, 255 - ROWS * 2 - COLUMNS], axis=-1).astype(np.uint8)
MODES = ("RGB", "L", "CMYK", "1", "P", "LA", "RGBA", "I;16", "F", "HSV")
TURNED = {1: 0, 3: 2, 6: 1, 8: -1}


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """The picture `SEEN` as a camera, a scanner or an editor saves it."""
    turn = draw(st.sampled_from(sorted(TURNED)))
    stored = np.ascontiguousarray(np.rot90(SEEN, TURNED[turn]))
    mode, form = draw(st.sampled_from(MODES)), draw(
        st.sampled_from(["JPEG", "PNG", "BMP", "PPM", "WEBP", "TIFF", "GIF", "JPEG2000"])
    )  # fmt: skip
    picture = Image.fromarray(stored)
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    else:
        picture = picture.convert(mode)
    exif = Image.Exif()
    exif[0x0112] = turn
    how: dict[str, Any] = {"exif": exif} if form in ("JPEG", "PNG", "WEBP") else {}
    if form == "JPEG":
        how |= {"quality": 97, "progressive": draw(st.booleans()),
                "subsampling": draw(st.sampled_from([0, 1, 2]))}  # fmt: skip
    if form == "WEBP":
        how |= {"lossless": True}
    stream = io.BytesIO()
    try:
        picture.save(stream, form, **how)
    except (OSError, ValueError, KeyError):  # no such file is there
        picture.convert("RGB").save(stream, "PNG", exif=exif)
    return stream.getvalue()


@given(files())
@settings(deadline=None, max_examples=60)
def test_pictures_are_seen_as_opencv_sees_them(data: bytes) -> None:
    try:
        found = decode(data, "x").astype(int)
    except BadInputError:
        return
    theirs = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert theirs is not None
    assert found.shape == theirs.shape
    # Of subsampled colours and of CMYK the two decoders differ by some steps.
    assert np.abs(found - theirs[..., ::-1])[2:-2, 2:-2].mean() < 6


@given(st.data(), st.lists(st.floats(0.1, 1e4), min_size=1, max_size=3))
@settings(deadline=None, max_examples=60)
def test_results_files_that_other_programs_wrote_anew(
    data: st.DataObject, medians: list[float]
) -> None:
    """Sorted keys, other spaces, other ends of lines, a mark at the start, no checksum."""
    form = data.draw(st.sampled_from([
        {}, {"sort_keys": True}, {"indent": 1}, {"separators": (",", ":")},
        {"ensure_ascii": False},
    ]))  # fmt: skip
    lines = []
    for number, median in enumerate(medians):
        result = Latency((median, median), (), 1.0, 0.0, processes=(1, 1))
        record = Record(Case("latency", f"n{number}"), "measured", "ok", result)
        lines.append(json.dumps(to_json(record), **form))
    end = data.draw(st.sampled_from(["\n", "\r\n", "\n\n"]))
    text = end.join(lines) + end
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "records.jsonl"
        path.write_bytes(text.encode(data.draw(st.sampled_from(["utf-8", "utf-8-sig"]))))
        try:
            found = Store(path).read()
        except BadInputError as error:
            told = str(error)
            found = []
        else:
            told = "records.jsonl"
    assert "records.jsonl" in told
    assert [record.result.samples_ms[0] for record in found] in (medians, [])
