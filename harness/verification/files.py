"""Reads files by name, in a folder or in an archive that is read in place."""

from __future__ import annotations

import os
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Protocol

from facebench.architectures.errors import BadInputError
from facebench.harness.storage.reading import regular

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".pgm", ".webp"})

# Images too, which are not read.
OTHER_IMAGE_SUFFIXES = frozenset(
    [
        ".tif",
        ".tiff",
        ".gif",
        ".ppm",
        ".pnm",
        ".pbm",
        ".jp2",
        ".j2k",
        ".jpe",
        ".jfif",
        ".avif",
        ".heic",
        ".heif",
        ".jxl",
        ".ico",
        ".tga",
        ".dng",
        ".cr2",
        ".nef",
        ".arw",
        ".raw",
        ".exr",
        ".hdr",
        ".psd",
        ".svg",
        ".eps",
    ]
)
OUTSIDE = "outside a person's folder"


class Files(Protocol):
    """They give whole files by name; names are relative, with forward slashes."""

    def __contains__(self, name: object) -> bool:
        """Return whether there is a file of that name."""

    def read(self, name: str) -> bytes:
        """Return the file's content.

        Raises:
            BadInputError: there is none, or it can't be read.
        """

    def describe(self, name: str) -> str:
        """Return where the file is, for a message."""


class Listed(Files, Protocol):
    """They are files that can be listed."""

    path: Path

    def names(self) -> list[str]:
        """Return all names, sorted; of regular files alone. Nothing is read."""


class Folder:
    """It gives the files under a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __contains__(self, name: object) -> bool:
        return (self.path / str(name)).is_file()

    def read(self, name: str) -> bytes:
        """See `Files`."""
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise BadInputError(
                f"cannot read {self.describe(name)}: {error.strerror}; put it there or check "
                "its permissions"
            ) from error

    def describe(self, name: str) -> str:
        """See `Files`."""
        return str(self.path / name)

    def names(self) -> list[str]:
        """See `Listed`; links are followed, a folder that is reached twice is listed once.

        Raises:
            BadInputError: a folder can't be read.
        """
        try:
            return _sorted(_walk(self.path, "", set()), self.path)
        except OSError as error:
            raise BadInputError(
                f"cannot list {error.filename}: {error.strerror}; check the path and its "
                "permissions"
            ) from error


def _sorted(names: Iterable[str], path: Path) -> list[str]:
    """Sorted names, which are seen to be text that can be printed and hashed."""
    ordered = sorted(names)
    for name in ordered:
        if not name.isprintable():
            raise BadInputError(
                f"{path} has a file whose name is no UTF-8 text, or not printable, {name!a}: "
                "rename it"
            )
    return ordered


def _walk(folder: Path | str, prefix: str, seen: set[tuple[int, int]]) -> Iterator[str]:
    """Names of the files under a folder; a link that leads back into it is not a loop."""
    status = os.stat(folder)
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    with os.scandir(folder) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        if entry.is_dir():
            yield from _walk(entry.path, f"{prefix}{entry.name}/", seen)
        elif entry.is_file():
            yield prefix + entry.name


class Archive:
    """It gives the files under a folder of an uncompressed tar archive, never unpacked.

    Reading opens the archive anew, so that threads and processes can share one.

    Args:
        path: the archive.
        anchor: a file whose folder is the one meant, such as `pairs.txt`; the
            outermost one counts where there are several. Without one it is the
            deepest folder that holds all images and a folder around each of them.

    Raises:
        BadInputError: the archive can't be read, is truncated or compressed,
            names files outside itself, or lacks that file.
    """

    def __init__(self, path: Path, anchor: str | None = None) -> None:
        self.path = path
        members = _members(path)
        self._folder = _common(members) if anchor is None else _anchored(members, anchor, path)
        self._places = {
            name.removeprefix(self._folder): place
            for name, place in members.items()
            if name.startswith(self._folder)
        }

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def read(self, name: str) -> bytes:
        """See `Files`."""
        if name not in self._places:
            raise BadInputError(f"{self.describe(name)} is missing: make the archive anew with it")
        offset, size = self._places[name]
        try:
            with self.path.open("rb") as file:
                file.seek(offset)
                data = file.read(size)
        except OSError as error:
            raise BadInputError(f"cannot read {self.path}: {error.strerror}") from error
        if len(data) < size:
            raise BadInputError(f"{self.describe(name)} is cut off: copy the archive anew")
        return data

    def describe(self, name: str) -> str:
        """See `Files`."""
        return f"{self._folder}{name} in {self.path}"

    def names(self) -> list[str]:
        """See `Listed`."""
        return _sorted(self._places, self.path)


class Joined:
    """It takes several places as one: a name begins with the place's own name and a slash.

    Example:
        Joined({"probes": Folder(Path("people")), "distractors": Archive(Path("crowd.tar"))})
    """

    def __init__(self, places: Mapping[str, Files]) -> None:
        self._places = dict(places)

    def __contains__(self, name: object) -> bool:
        place, _, rest = str(name).partition("/")
        return place in self._places and rest in self._places[place]

    def read(self, name: str) -> bytes:
        """See `Files`."""
        place, _, rest = name.partition("/")
        return self._places[place].read(rest)

    def describe(self, name: str) -> str:
        """See `Files`."""
        place, _, rest = name.partition("/")
        return self._places[place].describe(rest)


def open_files(path: Path) -> Folder | Archive:
    """Return a folder, or an uncompressed tar archive.

    Raises:
        BadInputError: it is neither, or the archive is damaged.
    """
    # Unlike Path's own, these have an answer to a name that is too long.
    if os.path.isdir(path):
        return Folder(path)
    if not os.path.exists(path):
        raise BadInputError(f"there is no {path}: name a folder, or an uncompressed tar archive")
    return Archive(path)


def _anchored(members: Mapping[str, object], anchor: str, path: Path) -> str:
    """Return the folder of the outermost file called `anchor`, with its slash."""
    found = [name for name in members if PurePosixPath(name).name == anchor]
    if not found:
        raise BadInputError(
            f"{path} holds no {anchor}: make the archive from a folder that has one"
        )
    return min(found, key=lambda name: name.count("/"))[: -len(anchor)]


def _common(members: Mapping[str, object]) -> str:
    """Return the folders that all images' names begin with, but for the one right around an
    image.
    """
    images = [name for name in members if is_image(name)]
    if not images:
        return ""
    # What the first and the last in the order of names share, all between them share.
    shared = os.path.commonpath([min(images), max(images)]).split("/")
    depth = min(name.count("/") for name in images) - 1
    return "".join(f"{part}/" for part in shared[: max(depth, 0)] if part)


def is_image(name: str) -> bool:
    """Return whether a file is taken for an image, by its name alone.

    Example:
        >>> is_image("Ann/1.JPG"), is_image("Ann/._1.jpg"), is_image("Ann/notes.txt")
        (True, False, False)
    """
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES and not _is_hidden(name)


def _is_hidden(name: str) -> bool:
    parts = PurePosixPath(name)
    # macOS leaves files of the same names with a dot in front, and a folder of them.
    return parts.name.startswith(".") or "__MACOSX" in parts.parts


def left_out(names: Iterable[str]) -> dict[str, int]:
    """Count the files beside the images `identity/image`, by suffix or by where they are.

    Hidden files, and lists beside the people's folders, are not counted.

    Example:
        >>> left_out(["Ann/1.jpg", "Ann/2.TIF", "Ann/3.tif", "4.png", "pairs.csv"])
        {'.tif': 2, "outside a person's folder": 1}
    """
    counts: Counter[str] = Counter()
    for name in names:
        if is_image(name):
            counts[OUTSIDE] += "/" not in name
        elif "/" in name and not _is_hidden(name):
            counts[PurePosixPath(name).suffix.lower() or "no suffix"] += 1
    return {what: counts[what] for what in sorted(counts) if counts[what]}


def _members(path: Path) -> dict[str, tuple[int, int]]:
    """Return offset and size in bytes of the regular files in an archive, by name."""
    places = {}
    try:
        with tarfile.open(regular(path), "r:") as archive:
            for member in archive:
                name = PurePosixPath(member.name)
                if name.is_absolute() or ".." in name.parts:
                    raise BadInputError(
                        f"{path} names a file outside itself ({member.name!r}): "
                        "make the archive anew with relative names"
                    )
                # Links and sparse files have no bytes of their own at one place.
                if member.isreg() and not member.issparse():
                    places[str(name)] = (member.offset_data, member.size)
    except tarfile.TarError as error:
        raise BadInputError(
            f"{path} is truncated or no uncompressed tar archive ({error}): copy it anew, "
            "or decompress it"
        ) from error
    except OSError as error:
        raise BadInputError(f"cannot read {path}: {error.strerror}; check the path") from error
    return places
