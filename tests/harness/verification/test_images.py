"""Which files are taken for images, and which way up."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facebench.architectures.errors import BadInputError
from facebench.harness.verification import images
from facebench.harness.verification.images import decode

LOSSLESS = ("PNG", "BMP", "PPM")
# A valid header of Encapsulated PostScript, which Pillow hands to Ghostscript.
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"
# Below: three corners of colour and a white one, so that each turn is another picture.
CORNERS = np.zeros((4, 6, 3), np.uint8)
CORNERS[:2, :3], CORNERS[:2, 3:], CORNERS[2:, :3], CORNERS[2:, 3:] = (
    (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255),
)  # fmt: skip


def encoded(form: str, pixels: np.ndarray = CORNERS, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, form, **options)
    return stream.getvalue()


def test_a_jpg_that_holds_postscript_starts_no_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = tmp_path / "started"
    ghostscript = tmp_path / "gs"
    ghostscript.write_text(f"#!/bin/sh\n/usr/bin/touch {started}\n")
    ghostscript.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}")
    with pytest.raises(BadInputError, match="a.jpg is truncated or no image"):
        decode(EPS, "a.jpg")
    assert not started.exists()


@pytest.mark.parametrize("form", LOSSLESS)
def test_lossless_formats_give_their_pixels(form: str) -> None:
    assert np.array_equal(decode(encoded(form), "a"), CORNERS)


def test_webp_gives_its_pixels() -> None:
    assert np.array_equal(decode(encoded("WEBP", lossless=True), "a"), CORNERS)


@pytest.mark.parametrize("form", ["GIF", "TIFF", "ICO", "TGA", "PCX", "SGI", "DDS", "EPS"])
def test_other_formats_are_refused_whatever_they_are_called(form: str) -> None:
    with pytest.raises(BadInputError, match=r"a\.jpg is truncated or no image"):
        decode(encoded(form), "a.jpg")
    with pytest.raises(BadInputError):
        images.size(encoded(form), "a.jpg")


# What EXIF 2.3, section 4.6.4, says of the visual top and left side, as operations on arrays.
TURNS = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.transpose(1, 0, 2),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].transpose(1, 0, 2),
    8: lambda stored: np.rot90(stored),
}


@pytest.mark.parametrize("orientation", TURNS)
def test_an_exif_orientation_is_applied(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded("PNG", exif=exif)
    assert np.array_equal(decode(data, "a"), TURNS[orientation](CORNERS))


def test_pixels_are_bounded_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MOST_PIXELS", CORNERS[..., 0].size - 1)
    with pytest.raises(BadInputError, match="23 pixels at most"):
        decode(encoded("PNG"), "a")


def test_a_truncated_image_is_refused() -> None:
    whole = encoded("JPEG", np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    with pytest.raises(BadInputError, match="truncated"):
        decode(whole[: len(whole) // 2], "a")
