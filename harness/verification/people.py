"""Finds who is in a dataset's pairs: as it names them, or as far as its images tell.

Two images that are equal byte by byte show one person, and so do the two of a genuine pair.
What these join is a group. A person may be in several groups: nothing joins images that no
chain of genuine pairs connects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from facebench.harness.stats.procedures import procedure
from facebench.harness.verification.faces import Pair, PairSet


def numbers(faces: PairSet) -> tuple[list[tuple[int, int]], bool]:
    """Return a number for each person of each pair, and whether these are groups of images.

    Returns:
        No numbers at all where the dataset names nobody and no image is in two pairs.
    """
    named = faces.identities or groups(faces)
    number: dict[str, int] = {}
    found = [
        (
            number.setdefault(named[pair.first], len(number)),
            number.setdefault(named[pair.second], len(number)),
        )
        for pair in faces.pairs
        if named
    ]
    return found, bool(found) and not faces.identities


@procedure("recovered people")
def groups(faces: PairSet) -> Mapping[str, str]:
    """Group the images, each group named by one of them; none where no group has two pairs."""
    first: dict[bytes, str] = {}
    equal = {key: first.setdefault(image, key) for key, image in faces.image_digests.items()}
    found = joined(equal, faces.pairs)
    shown = sum(len({found[pair.first], found[pair.second]}) for pair in faces.pairs)
    return found if len(set(found.values())) < shown else {}


def joined(parent: dict[str, str], pairs: Iterable[Pair]) -> dict[str, str]:
    """Return of each image the one that its group is named by, once genuine pairs join groups.

    Args:
        parent: of each image one of its group, itself or another; it is changed.
        pairs: of these images.
    """
    for pair in pairs:
        if pair.same:
            parent[_root(parent, pair.first)] = _root(parent, pair.second)
    return {key: _root(parent, key) for key in parent}


def _root(parent: dict[str, str], key: str) -> str:
    while parent[key] != key:
        # Each step shortens the way for the next.
        parent[key] = parent[parent[key]]
        key = parent[key]
    return key
