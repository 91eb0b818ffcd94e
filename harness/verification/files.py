"""Files by name, in a folder or in an archive that is read in place."""

from __future__ import annotations

import tarfile
from pathlib import Path, PurePosixPath
from typing import Protocol

from architectures.errors import BadInputError


class Files(Protocol):
    """Whole files by name; names are relative, with forward slashes."""

    def __contains__(self, name: object) -> bool:
        """Whether there is a file of that name."""

    def read(self, name: str) -> bytes:
        """The file's content.

        Raises:
            BadInputError: there is none, or it can't be read.
        """

    def describe(self, name: str) -> str:
        """Where the file is, for a message."""


class Folder:
    """The files under a folder."""

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


class Archive:
    """The files under a folder of an uncompressed tar archive, which is never unpacked.

    Reading opens the archive anew, so that threads and processes can share one.

    Args:
        path: the archive.
        anchor: a file whose folder is the one meant, such as `pairs.txt`;
            the outermost one counts where there are several.

    Raises:
        BadInputError: the archive can't be read, is truncated or compressed,
            names files outside itself, or lacks that file.
    """

    def __init__(self, path: Path, anchor: str) -> None:
        self.path = path
        members = _members(path)
        found = [name for name in members if PurePosixPath(name).name == anchor]
        if not found:
            raise BadInputError(
                f"{path} holds no {anchor}: make the archive from a folder that has one"
            )
        self._folder = min(found, key=lambda name: name.count("/"))[: -len(anchor)]
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


def _members(path: Path) -> dict[str, tuple[int, int]]:
    """Offset and size in bytes of the regular files in an archive, by name."""
    places = {}
    try:
        with tarfile.open(path, "r:") as archive:
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
