"""Reads folders as others published them: regular files alone, no links, none too large."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from facebench.architectures.errors import BadInputError

# A photograph of 178 million pixels, as a JPEG of the best quality.
_LARGEST_IMAGE = 2**28

# A FIFO is opened without waiting for who writes to it.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class PlainFolder:
    """It gives the files under a folder, of which none may lead out of it: `files.Files`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __contains__(self, name: object) -> bool:
        try:
            return stat.S_ISREG(os.lstat(self.path / str(name)).st_mode)
        except (OSError, ValueError):
            return False

    def read(self, name: str) -> bytes:
        """See `Files`.

        Raises:
            BadInputError: there is none, it or a folder below this one is a link, or it is no
                regular file, or larger than 256 MiB.
        """
        parts = name.split("/")
        above = [self.path.joinpath(*parts[:depth]) for depth in range(1, len(parts))]
        link = next((folder for folder in above if os.path.islink(folder)), None)
        if link is not None:
            raise BadInputError(f"{link} is a link, which is not followed: put the folder there")
        with open_plain(self.path / name, _LARGEST_IMAGE) as file:
            return file.read(_LARGEST_IMAGE)

    def describe(self, name: str) -> str:
        """See `Files`."""
        return str(self.path / name)


def open_plain(path: Path, largest: int) -> BinaryIO:
    """Open a regular file that is no link and not larger than so many bytes.

    Raises:
        BadInputError: it is missing, can't be read, or is not that.
    """
    try:
        file = os.fdopen(os.open(path, _FLAGS), "rb")
    except OSError as error:
        what = "it is a link" if os.path.islink(path) else error.strerror
        raise BadInputError(
            f"cannot read {path}: {what}; put the file there or check its permissions"
        ) from error
    status = os.fstat(file.fileno())
    if stat.S_ISREG(status.st_mode) and status.st_size <= largest:
        return file
    file.close()
    raise BadInputError(
        f"{path} is no regular file, or has more than {largest:,} bytes: copy it anew"
    )
