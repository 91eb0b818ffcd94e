"""Unpacks archives of others: folders and regular files, below one folder, and nothing else.

`tarfile`'s own filters let links through, and have been escaped by chains of them.
"""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path, PurePosixPath


def unpack(archive: tarfile.TarFile, folder: Path, most_bytes: int) -> None:
    """Unpack an archive into an empty folder of our own.

    Args:
        archive: open to be read.
        folder: where to, empty and ours alone.
        most_bytes: that its files take, unpacked.

    Raises:
        tarfile.TarError: it holds something else than folders and files, one of a name that
            leads elsewhere, or more than so many bytes.
    """
    left = most_bytes
    for member in archive:
        path = folder / _inside(member.name)
        if member.isdir():
            path.mkdir(parents=True, exist_ok=True)
            continue
        if not member.isreg():
            raise tarfile.ExtractError(f"{member.name!r} is neither a file nor a folder")
        left -= member.size
        if left < 0:
            raise tarfile.ExtractError(f"it unpacks to more than {most_bytes:,} bytes")
        path.parent.mkdir(parents=True, exist_ok=True)
        packed = archive.extractfile(member)
        assert packed is not None  # a regular file
        # Nothing in it is a link, so what is new is where its name says.
        with path.open("xb") as file:
            shutil.copyfileobj(packed, file)


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise tarfile.ExtractError(f"{name!r} leads out of its folder")
    return path
