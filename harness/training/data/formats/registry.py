"""Provides the protocol of training sets' formats and their registry.

A format is one file in this package: two functions and one registration.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from facebench.architectures.errors import BadInputError
from facebench.architectures.registry import Registry
from facebench.harness.training.data.source import Source


@dataclass(frozen=True)
class Format:
    """A way in which a training set lies on the disk.

    Attributes:
        name: as it is called in messages.
        about: what is read, in a line.
        find: the file or folder that is this format, given what the user names; None
            where it is another.
        open: lists its images. Raises `BadInputError` where it is damaged.
        certain: whether what it finds can be nothing else; any folder may be people's.
    """

    name: str
    about: str
    find: Callable[[Path], Path | None]
    open: Callable[[Path], Source]
    certain: bool = True


FORMATS: Registry[Format] = Registry("format", package="facebench.harness.training.data.formats")


def open_source(path: Path) -> Source:
    """Return the images of a training set, in whichever format it is.

    Raises:
        BadInputError: it is in none, or is damaged, or has no image.
    """
    if not path.exists():
        raise BadInputError(f"there is no {path}: name a training set, {_known()}")
    for known in sorted(FORMATS, key=lambda known: not known.certain):
        found = known.find(path)
        if found is not None:
            return known.open(found)
    raise BadInputError(f"{path} is no training set: name {_known()}")


def only(path: Path, suffix: str, usual: str) -> Path | None:
    """Return `path` if it is a file with this suffix, or the one such file in that folder.

    Args:
        path: a file or a folder.
        suffix: such as `.rec`.
        usual: which one is meant where a folder holds several.
    """
    if path.is_file():
        return path if path.suffix.lower() == suffix else None
    if (path / usual).is_file():
        return path / usual
    found = [file for file in path.glob(f"*{suffix}") if file.is_file()]
    return found[0] if len(found) == 1 else None


def _known() -> str:
    return "; ".join(known.about for known in FORMATS)
