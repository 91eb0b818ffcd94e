"""Writes files where somebody else may have put something; it is the one door for that.

Output folders, caches and baselines are handed on: what lies in one may be a link that leads
to a file of the user's own. Nothing here follows a link below the folder that was chosen, and
a file appears under its name once it is whole and on the disk.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Any

from facebench.architectures.errors import BadInputError

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# A FIFO that nobody reads must not keep us waiting; a regular file knows no such thing.
_SHARED = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MODE = 0o666  # less what the user's mask takes away


def write(path: Path, content: str | bytes) -> None:
    """Write a file in place of the one that is there; it appears whole or not at all.

    The folders above it are made.

    Raises:
        BadInputError: there is something other than a regular file.
        OSError: it can't be written; what was there is as it was.
    """
    data = content.encode() if isinstance(content, str) else content

    replace(path, lambda made: made.write_bytes(data))


def replace(path: Path, fill: Callable[[Path], Any]) -> None:
    """Let `fill` make a file, and put it in the place of `path` once it is on the disk.

    Raises:
        BadInputError: there is something other than a regular file.
        OSError: it can't be written; what was there is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _require_regular(path)
    # New, of a random name and ours alone: nobody has put a link into it.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as own:
        made = Path(own) / path.name
        fill(made)
        with made.open("rb") as file:
            os.fsync(file.fileno())
        made.replace(path)


def create(path: Path, content: str) -> None:
    """Write a file where there is none.

    Raises:
        FileExistsError: there is something already.
        OSError: it can't be written, and is not left behind.
    """
    descriptor = os.open(path, _NEW, _MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content.encode())
            file.flush()
            os.fsync(file.fileno())
    except BaseException:  # Ctrl-C too
        path.unlink(missing_ok=True)
        raise


def shared(path: Path) -> FileIO:
    """Open a file to read it and to append to it, unbuffered; it is made where there is none.

    Raises:
        BadInputError: it is a link, or no regular file.
        OSError: it can't be opened.
    """
    _require_regular(path)
    descriptor = os.open(path, _SHARED, _MODE)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _not_ours(path, "no regular file")
    return FileIO(descriptor, "a+")


def write_all(file: FileIO, data: bytes) -> None:
    """Write all of it: a file without a buffer may take less at a time.

    What a buffer still holds when a disk is full, closing would write later.
    """
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def folder(path: Path, below: Path) -> Path:
    """Make a folder and those above it, none of which is a link from `below` downwards.

    Args:
        path: the folder, `below` or one in it.
        below: the folder that the user chose; itself it may be a link.

    Raises:
        BadInputError: one of them is a link.
        OSError: one can't be made.
    """
    below.mkdir(parents=True, exist_ok=True)
    made = below
    for part in path.relative_to(below).parts:
        made /= part
        if made.is_symlink():
            raise _not_ours(made, "a link")
        made.mkdir(exist_ok=True)
    return path


def unchosen(path: Path, here: Path, option: str) -> Path:
    """Return a folder that is a default, if no link leads to it: nobody chose what that is.

    Args:
        path: the folder, in `here`.
        here: where the user stands; itself it may be a link.
        option: what chooses another folder.

    Raises:
        BadInputError: it is a link, or lies below one.
    """
    made = here
    for part in path.relative_to(here).parts:
        made /= part
        if made.is_symlink():
            raise BadInputError(
                f"{made} is a link, and nobody chose where it leads: name the folder with {option}"
            )
    return path


def _require_regular(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise _not_ours(path, "a link" if stat.S_ISLNK(mode) else "no regular file")


def _not_ours(path: Path, what: str) -> BadInputError:
    return BadInputError(
        f"{path} is {what}, and nothing is written there: remove it, or choose another folder"
    )
