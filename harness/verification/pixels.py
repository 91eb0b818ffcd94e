"""Turns an opened image into pixels as a network is to see them: upright, 8 bits, RGB, opaque."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from facebench.architectures.errors import BadInputError

# `(H, W, 3)`, RGB, 0 to 255.
Picture = npt.NDArray[np.uint8]

_ORIENTATION = 0x0112  # Exif's tag
# How stored pixels become upright ones, by Exif's orientation (CIPA DC-008, 4.6.5.1.6).
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PLAIN = ("1", "L", "RGB", "YCbCr", "HSV", "CMYK", "RGBX")
_TRANSPARENT = ("P", "PA", "LA", "La", "RGBA", "RGBa")
# In these formats Pillow's 32-bit integers are numbers of 16 bits, of the full range.
_16_BITS_IN_32 = ("PNG", "PPM")


@dataclass(frozen=True)
class ImageFacts:
    """They are what an image's header says.

    Attributes:
        format: of the file and of its pixels, by Pillow's names, such as `JPEG RGB`.
        size: height and width in pixels, once upright.
        orientation: Exif's, 1 to 8; 1 is upright.
    """

    format: str
    size: tuple[int, int]
    orientation: int


def facts_of(image: Image.Image) -> ImageFacts:
    """Return what an opened image's header says; nothing is decoded."""
    turn = orientation(image)
    size = (image.width, image.height) if turn >= 5 else (image.height, image.width)
    return ImageFacts(f"{image.format} {image.mode}", size, turn)


def pixels(image: Image.Image, name: str) -> Picture:
    """Return the pixels of an opened image, `(H, W, 3)`, RGB, 0 to 255; grey ones are repeated.

    A turn that Exif tells is done, as viewers and OpenCV do it; 16 bits become 8.

    Args:
        image: by Pillow, with its file still open.
        name: what a message calls it.

    Raises:
        BadInputError: what the pixels mean is not known: numbers without a range,
            transparency, several pictures.
        OSError, SyntaxError, ValueError: it can't be decoded.
    """
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
        raise BadInputError(f"{name} holds several pictures: save the one that is meant alone")
    image.load()
    turn = _UPRIGHT.get(orientation(image))
    converted = _rgb(image, name)
    upright = converted if turn is None else converted.transpose(turn)
    return np.asarray(upright)


def orientation(image: Image.Image) -> int:
    """Return Exif's orientation, 1 to 8; 1, upright, where nothing says another.

    Damaged Exif data say nothing, as to all who read them.
    """
    try:
        value = image.getexif().get(_ORIENTATION)
    except Exception:  # Pillow raises a dozen kinds on damaged data
        return 1
    return value if value in _UPRIGHT else 1


def _rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in _16_BITS_IN_32):
        return _from_16_bits(image).convert("RGB")
    if "transparency" in image.info or image.mode in _TRANSPARENT:
        image = _opaque(image, name)
    elif image.mode not in _PLAIN:
        raise BadInputError(
            f"{name} has pixels of the kind {image.mode}, whose range is not known: save it with "
            "8 bits a channel"
        )
    return image.convert("RGB")


def _from_16_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.uint32)
    return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))


def _opaque(image: Image.Image, name: str) -> Image.Image:
    """Return the image without its transparency, which is seen to hide nothing."""
    with_alpha = image.convert("RGBA")
    if with_alpha.getchannel("A").getextrema() != (255, 255):
        raise BadInputError(
            f"{name} is transparent in places, and what is to be seen there is not known: save it "
            "on a background, without transparency"
        )
    return with_alpha
