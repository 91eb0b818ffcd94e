"""Gives the landmarks of images that were aligned by whoever published them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from facebench.harness.stats.arrays import Floats


class AlignedLandmarks(Mapping[str, Floats]):
    """They are the five points of every image: those of its size's template.

    A network of that size then gets the images as they are, and one whose
    template is the same face in another frame gets a crop without resampling.

    Args:
        keys: the images.
        points: of an image, by its key: `(5, 2)`, x and y in pixels; asked when it is used.

    Example:
        >>> from facebench.harness.verification.alignment import template
        >>> aligned = AlignedLandmarks(["a.jpg"], lambda key: template((112, 112)))
        >>> aligned["a.jpg"][0].round(1).tolist()
        [38.3, 51.7]
    """

    def __init__(self, keys: Iterable[str], points: Callable[[str], Floats]) -> None:
        self._keys = dict.fromkeys(keys)
        self._points = points

    def __getitem__(self, key: str) -> Floats:
        if key not in self._keys:
            raise KeyError(key)
        return self._points(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)
