"""Defines the protocol of face detectors, and their registry.

A detector is one file in this package: two functions and one registration. Its
weights belong to the user: they come from a path, or from a package that is
installed beside this project, whose files are read and whose code is never run.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from facebench.architectures.errors import BadInputError, UnavailableError
from facebench.architectures.registry import Registry
from facebench.harness.stats.arrays import Floats, Picture

# From a picture to the landmarks of the face that matters, `(5, 2)` float64: x and y in
# pixels, of left eye, right eye, nose, left and right corner of the mouth as seen in the
# image; none where no face is found. May be called from several threads at once.
Find = Callable[[Picture], Floats | None]


@dataclass(frozen=True)
class Detector:
    """A detector finds the face in a picture.

    Attributes:
        name: as it is called on the command line and in records.
        install: the command that installs a package with its weights.
        about: where it comes from, in a line.
        files: what it is made of, given the user's path or none: the files
            whose bytes, and this package's source, decide what is found. Raises
            `BadInputError` where the path lacks one, `UnavailableError` where
            there is no path and no package.
        open: makes it ready, given the same; raises the same, and
            `BadInputError` where a file is no such network.
    """

    name: str
    install: str
    about: str
    files: Callable[[Path | None], tuple[Path, ...]]
    open: Callable[[Path | None], Find]


DETECTORS: Registry[Detector] = Registry(
    "detector", package="facebench.harness.verification.detectors"
)


def installed_folder(package: str, below: str, needed: tuple[str, ...]) -> Path | None:
    """Return where an installed package keeps files; none where it or one of them is missing.

    Args:
        package: a top-level package, which is found without being imported.
        below: the folder inside it.
        needed: files that must be in that folder.
    """
    spec = importlib.util.find_spec(package)
    for place in (spec and spec.submodule_search_locations) or ():
        folder = Path(place) / below
        if all((folder / name).is_file() for name in needed):
            return folder
    return None


def require_file(path: Path, detector: str) -> Path:
    """Return the path, where it is a file.

    Raises:
        BadInputError: it is none.
    """
    if not path.is_file():
        raise BadInputError(
            f"{path} is not a file, and {detector} needs its weights from it: check the path"
        )
    return path


def no_weights(detector: str, install: str, what: str, kind: str) -> UnavailableError:
    """Return the error for weights that are neither given nor installed."""
    return UnavailableError(
        f"no weights for {detector} are installed: run '{install}', or name {what} with "
        f"--landmarks {detector}:{kind}"
    )
