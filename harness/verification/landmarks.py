"""Gives the landmarks of images that were aligned by whoever published them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from facebench.harness.stats.arrays import Floats
from facebench.harness.verification.alignment import template


class AlignedLandmarks(Mapping[str, Floats]):
    """The same five points for every image: those of a size's template.

    A network of that size then gets the images as they are, and one whose
    template is the same face in another frame gets a crop without resampling.

    Args:
        keys: the images.
        size: height and width of the images in pixels.

    Raises:
        BadInputError: no template is known for this size.

    Example:
        >>> AlignedLandmarks(["a.jpg"], (112, 112))["a.jpg"][0].round(1).tolist()
        [38.3, 51.7]
    """

    def __init__(self, keys: Iterable[str], size: tuple[int, int]) -> None:
        self._keys = dict.fromkeys(keys)
        self._points = template(size)

    def __getitem__(self, key: str) -> Floats:
        if key not in self._keys:
            raise KeyError(key)
        return self._points

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)
