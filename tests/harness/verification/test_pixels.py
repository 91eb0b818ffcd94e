"""Images in the forms in which people have them are decoded right, or refused."""

import io
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from facebench.architectures.errors import BadInputError
from facebench.harness.verification.images import decode, facts

Grid = npt.NDArray[Any]
# No turn and no mirror image of it is itself.
GREY: Grid = np.add.outer(np.arange(6) * 37, np.arange(9) * 4).astype(np.uint8)
COLOUR: Grid = np.stack([GREY, 255 - GREY, GREY.T.reshape(GREY.shape)], axis=-1)
# By Exif's orientation: the stored pixels that an upright picture is seen of.
STORED = {
    1: lambda seen: seen,
    2: lambda seen: seen[:, ::-1],
    3: lambda seen: seen[::-1, ::-1],
    4: lambda seen: seen[::-1],
    5: lambda seen: seen.swapaxes(0, 1),
    6: lambda seen: np.rot90(seen),
    7: lambda seen: np.rot90(seen.swapaxes(0, 1), 2),
    8: lambda seen: np.rot90(seen, -1),
}


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def exif(orientation: int) -> Image.Exif:
    made = Image.Exif()
    made[0x0112] = orientation
    return made


def image_of(kind: str, turn: int) -> tuple[Image.Image, Grid]:
    """An image of a kind, as it is stored, and the upright pixels that are right."""
    stored = {"grey": GREY, "16 bits": GREY.astype(np.uint16) * 257}.get(kind, COLOUR)
    made = Image.fromarray(np.ascontiguousarray(STORED[turn](stored)))
    right = COLOUR if stored is COLOUR else np.repeat(GREY[..., None], 3, axis=-1)
    if kind == "palette":
        made = made.quantize(256)
    if kind in ("opaque", "clear"):
        made.putalpha(255 if kind == "opaque" else 254)
    if kind == "palette with alpha":
        made = made.quantize(64)
        made.info["transparency"] = bytes([0] * 64)
    return made, right


KINDS = ("grey", "colour", "16 bits", "palette", "opaque", "clear", "palette with alpha")


@given(st.sampled_from(KINDS), st.sampled_from(sorted(STORED)))
@settings(max_examples=60, deadline=None)
def test_whatever_kind_an_image_is_it_is_seen_right_or_refused(kind: str, turn: int) -> None:
    made, right = image_of(kind, turn)
    options = {"transparency": made.info["transparency"]} if "transparency" in made.info else {}
    data = encoded(made, "PNG", exif=exif(turn), **options)
    seen = facts(data, "x")
    assert (seen.size, seen.orientation) == ((6, 9), turn)
    if kind in ("clear", "palette with alpha"):
        with pytest.raises(BadInputError, match="x is transparent in places.* save it on a backg"):
            decode(data, "x")
        return
    np.testing.assert_array_equal(decode(data, "x"), right)


@pytest.mark.parametrize("turn", STORED)
@pytest.mark.parametrize("grey", [False, True])
def test_a_jpeg_of_a_phone_is_seen_as_opencv_sees_it(turn: int, grey: bool) -> None:
    picture = cv2.resize(GREY if grey else COLOUR, (48, 32))
    data = encoded(Image.fromarray(picture), "JPEG", exif=exif(turn), quality=100, subsampling=0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.jpg"
        path.write_bytes(data)
        expected = cv2.imread(str(path))[..., ::-1]
    assert np.abs(decode(data, "x").astype(int) - expected).max() <= 2


@pytest.mark.parametrize("form", ["PNG", "PPM"])
def test_grey_of_16_bits_is_scaled_to_8(form: str) -> None:
    values = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)
    for shift in (-100, 0, 100):  # less than half a step of 8 bits
        shifted = np.clip(values.astype(int) + shift, 0, 65535).astype(np.uint16)
        picture = decode(encoded(Image.fromarray(shifted), form), "x")
        np.testing.assert_array_equal(picture[..., 1].ravel(), np.arange(256))


def test_cmyk_is_seen_in_the_colours_it_was_made_of() -> None:
    flat = np.full((8, 8, 3), (200, 60, 120), np.uint8)
    data = encoded(Image.fromarray(flat).convert("CMYK"), "JPEG", quality=100)
    assert np.abs(decode(data, "x").astype(int) - flat).max() <= 3


def test_damaged_exif_data_turn_nothing() -> None:
    data = encoded(Image.fromarray(COLOUR), "PNG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12")
    np.testing.assert_array_equal(decode(data, "x"), COLOUR)


def test_several_pictures_in_one_file_are_refused() -> None:
    more = [Image.fromarray(255 - COLOUR)]
    for form in ("PNG", "WEBP"):
        data = encoded(Image.fromarray(COLOUR), form, save_all=True, append_images=more)
        with pytest.raises(BadInputError, match="x holds several pictures"):
            decode(data, "x")
