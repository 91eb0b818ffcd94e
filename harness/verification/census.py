"""Says what kinds of images a dataset has, for the record of a score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from facebench.architectures.errors import BadInputError
from facebench.harness.verification.faces import FaceSet
from facebench.harness.verification.images import facts
from facebench.harness.verification.pixels import ImageFacts

# Sizes that are told one by one; photographs may have thousands.
_SIZES = 8


@dataclass(frozen=True)
class Census:
    """A census counts images by what their headers say.

    Attributes:
        formats: by file format and kind of pixels, such as `JPEG RGB`.
        sizes: by height and width in pixels once upright, such as `250x250`; the most
            frequent ones, and `others`.
        orientations: by Exif's orientation; 1 is upright, others are turned before use.
        left_out: files beside them that are not read, by suffix or place.
    """

    formats: Mapping[str, int]
    sizes: Mapping[str, int]
    orientations: Mapping[str, int]
    left_out: Mapping[str, int]


def census(faces: FaceSet) -> Census:
    """Count a dataset's images by kind; each is read, none is decoded."""
    return counted([_facts(faces, key) for key in faces.keys], faces.left_out)


def counted(seen: Sequence[ImageFacts | None], left_out: Mapping[str, int]) -> Census:
    """Count what was seen of images, None where one cannot be read, and what was left out."""
    found = [each for each in seen if each is not None]
    formats = _counted(each.format for each in found)
    if len(found) < len(seen):
        formats["not readable"] = len(seen) - len(found)
    sizes = _counted(f"{each.size[0]}x{each.size[1]}" for each in found)
    shown = dict(list(sizes.items())[:_SIZES])
    if len(sizes) > _SIZES:
        shown["others"] = len(found) - sum(shown.values())
    return Census(formats, shown, _counted(str(each.orientation) for each in found), dict(left_out))


def _facts(faces: FaceSet, key: str) -> ImageFacts | None:
    try:
        return facts(faces.files.read(key), key)
    except BadInputError:
        return None


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())
