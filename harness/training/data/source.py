"""Images by number, however they are kept: files of a folder, or spans of one large file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from facebench.architectures.errors import BadInputError
from facebench.harness.stats.arrays import Floats, IntArray
from facebench.harness.storage import cache, fingerprints
from facebench.harness.storage.reading import regular

# Height and width of an aligned face in pixels.
SIZE = (112, 112)


class Images(Protocol):
    """Encoded images by number, which processes can share."""

    def read(self, index: int) -> bytes:
        """Return an image's bytes.

        Raises:
            BadInputError: it can't be read.
        """

    def describe(self, index: int) -> str:
        """Return where the image is, for a message."""


@dataclass(frozen=True, eq=False)
class Source:
    """A training set that is listed; no image is read yet.

    Attributes:
        path: the file or folder.
        images: N of them.
        names: theirs, `identity/image`; each once.
        people: `(N,)`, whose each is, a place in `identities`.
        identities: the people's names.
        stamp: a hash that changes when a file does, by names, sizes and times.
        landmarks: by name, `(5, 2)` in pixels of the image, where they lie beside the images.
    """

    path: Path
    images: Images
    names: Sequence[str]
    people: IntArray
    identities: tuple[str, ...]
    stamp: str
    landmarks: Mapping[str, Floats] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Span:
    """It says where an image lies in a file that holds many.

    Attributes:
        offset: in bytes.
        size: in bytes.
        identity: whose image it is.
        name: of the image, `identity/image`.
    """

    offset: int
    size: int
    identity: str
    name: str


class Spans:
    """Images that are spans of one file.

    They are read at their place and the file is not mapped: a file that
    shrinks while it is mapped kills the process, where a short read is an error to tell.

    Args:
        path: the file.
        offsets: `(N,)`, in bytes.
        sizes: `(N,)`, in bytes.
        decode: from what lies there to the encoded image; raises `ValueError`
            where it can't be. A function of a module, so that processes can share it.
    """

    def __init__(
        self,
        path: Path,
        offsets: IntArray,
        sizes: IntArray,
        decode: Callable[[bytes], bytes] = bytes,
    ) -> None:
        self._path = path
        self._offsets = offsets
        self._sizes = sizes
        self._decode = decode
        self._file = _opened(path)

    def read(self, index: int) -> bytes:
        """See `Images`."""
        size = int(self._sizes[index])
        try:
            data = os.pread(self._file.fileno(), size, int(self._offsets[index]))
        except OSError as error:
            raise BadInputError(f"cannot read {self._path}: {error.strerror}") from error
        if len(data) < size:
            raise BadInputError(f"{self.describe(index)} is cut off: copy the file anew")
        try:
            return self._decode(data)
        except ValueError as error:
            raise BadInputError(
                f"{self.describe(index)} is damaged ({error}): copy the file anew"
            ) from error

    def describe(self, index: int) -> str:
        """See `Images`."""
        return f"the image at byte {int(self._offsets[index]):,} of {self._path}"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= {**state, "_file": _opened(state["_path"])}


def _opened(path: Path) -> BinaryIO:
    """Return a file without a buffer. It is read by offset alone, so that forks can share it."""
    try:
        return regular(path).open("rb", buffering=0)
    except OSError as error:
        raise BadInputError(f"cannot read {path}: {error.strerror}; check the path") from error


def file_stamp(path: Path) -> str:
    """Return a hash of a file's place, size and time: what says that it is still the same.

    Raises:
        BadInputError: there is no such file.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise BadInputError(f"cannot read {path}: {error.strerror}; check the path") from error
    return cache.digest(str(path.absolute()), status.st_size, status.st_mtime_ns)


def from_spans(
    path: Path,
    index: Callable[[], Sequence[Span]],
    decode: Callable[[bytes], bytes] = bytes,
    landmarks: Mapping[str, Floats] | None = None,
) -> Source:
    """Return a source of images in one file; its index is made once and kept in the cache.

    Args:
        path: the file.
        index: finds the images, in their order; may take minutes. Another version of the
            module that defines it makes another index.
        decode: see `Spans`.
        landmarks: by name, `(5, 2)` in pixels of the image; none by default.
    """
    stamp = file_stamp(path)

    def make(folder: Path) -> None:
        spans = index()
        if not spans:
            raise BadInputError(f"{path} holds no image of anybody: name another training set")
        places = [(span.offset, span.size) for span in spans]
        np.save(folder / "places.npy", np.array(places, np.int64).T)
        listed = {
            "names": [span.name for span in spans],
            "identities": [span.identity for span in spans],
        }
        (folder / "names.json").write_text(json.dumps(listed))

    version = fingerprints.code(__name__, index.__module__)
    folder = cache.entry("training-index", cache.digest(stamp, version), make)
    offsets, sizes = np.load(folder / "places.npy", allow_pickle=False)
    listed = json.loads((folder / "names.json").read_text())
    people, identities = numbered(listed["identities"])
    images = Spans(path, offsets, sizes, decode)
    return Source(path, images, listed["names"], people, identities, stamp, landmarks or {})


def numbered(owners: Sequence[str]) -> tuple[IntArray, tuple[str, ...]]:
    """Return numbers `(N,)` for N names, and the names by number.

    They are sorted as numbers where all are plain ones, and as text otherwise.

    Example:
        >>> numbered(["10", "9", "10"])
        (array([1, 0, 1]), ('9', '10'))
    """
    plain = all(owner.isascii() and owner.isdigit() and len(owner) < 19 for owner in owners)
    found = set(owners)
    ordered = sorted(found, key=lambda name: (int(name), name)) if plain else sorted(found)
    numbers = {name: number for number, name in enumerate(ordered)}
    return np.array([numbers[owner] for owner in owners], np.int64), tuple(ordered)


def people_of(names: Sequence[str], where: Path) -> dict[str, str]:
    """Map images' paths to `identity/image`; images outside of any folder are left out.

    The folders around the people's may be any, but the same for all.

    Raises:
        BadInputError: there are no images in folders, or their depth differs, so that it is
            not clear which folder is the person.

    Example:
        >>> people_of(["set/Ann/1.jpg", "set/Bob/1.jpg"], Path("set.tar"))
        {'set/Ann/1.jpg': 'Ann/1.jpg', 'set/Bob/1.jpg': 'Bob/1.jpg'}
    """
    inside = [name for name in names if "/" in name]
    if not inside:
        raise BadInputError(
            f"{where} holds no identity/image: give each person a folder of images "
            "(jpg, png, bmp, pgm or webp)"
        )
    around = {name: name.rsplit("/", 2)[0] if name.count("/") > 1 else "" for name in inside}
    first = around[inside[0]]
    other = next((name for name in inside if around[name] != first), None)
    if other is not None:
        raise BadInputError(
            f"{where} holds {inside[0]} and {other}, so that it is not clear which folder is the "
            "person: name the folder that holds the people's folders, with the images right in them"
        )
    return {name: name.removeprefix(first).removeprefix("/") for name in inside}


def stamp_of_files(root: Path, names: Sequence[str]) -> str:
    """Return a hash of the sizes and times of files below `root`.

    Raises:
        BadInputError: one is gone.
    """
    total = hashlib.sha256(str(root.absolute()).encode())
    for name in names:
        try:
            status = os.stat(root / name)
        except OSError as error:
            raise BadInputError(f"cannot read {root / name}: {error.strerror}") from error
        total.update(f"{name}\n{status.st_size} {status.st_mtime_ns}\n".encode())
    return total.hexdigest()[:32]
