"""Opens encoded images, here alone: of the formats that are meant, and no others.

Pillow knows dozens of formats by their content, whatever a file is called; one of them starts
another program (EPS: Ghostscript).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

from facebench.architectures.errors import BadInputError
from facebench.harness.stats.arrays import Picture
from facebench.harness.verification.pixels import ImageFacts, facts_of, pixels

FORMATS = ("JPEG", "PNG", "BMP", "PPM", "WEBP")
MOST_PIXELS = 178_000_000


def decode(data: bytes, name: str) -> Picture:
    """Decode an image: upright, of 8 bits; see `pixels`.

    Args:
        data: a whole file's bytes.
        name: what a message calls the image.

    Returns:
        The pixels, `(H, W, 3)`, RGB, 0 to 255.

    Raises:
        BadInputError: the data is truncated, of no format of `FORMATS`, or too large; or
            what its pixels mean is not known.
    """
    with _opened(data, name) as image:
        return pixels(image, name)


def size(data: bytes, name: str) -> tuple[int, int]:
    """Read an image's height and width in pixels, without decoding it or turning it.

    Raises:
        BadInputError: as `decode`, but for what only decoding shows.
    """
    with _opened(data, name) as image:
        return image.height, image.width


def facts(data: bytes, name: str) -> ImageFacts:
    """Read what an image's header says, without decoding it.

    Raises:
        BadInputError: as `size`.
    """
    with _opened(data, name) as image:
        return facts_of(image)


@contextmanager
def _opened(data: bytes, name: str) -> Iterator[Image.Image]:
    try:
        # Pillow, because OpenCV fills the missing part of a truncated JPEG with grey.
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ValueError("too many pixels")
            yield image
    except BadInputError:
        raise
    except Exception as error:  # whatever a decoder raises, the image is the culprit
        raise BadInputError(
            f"{name} is truncated or no image ({', '.join(FORMATS)}, {MOST_PIXELS:,} pixels at "
            "most): copy it anew from where the dataset came from"
        ) from error
