"""Keeps files that are costly to make, by the hash of all they depend on."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import platformdirs

from facebench.architectures.errors import BadInputError
from facebench.harness.storage import locks, remote, writing

MANIFEST = "manifest.json"


def digest(*parts: Any) -> str:
    """Return the SHA-256 of values that JSON can hold, 32 hexadecimal digits."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, 64 hexadecimal digits.

    Raises:
        BadInputError: the file can't be read, or is none: a device has no end.
    """
    try:
        # A FIFO is opened without waiting for who writes to it.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise BadInputError(f"{path} is no file; check the path")
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadInputError(f"cannot read {path}: {error.strerror}; check the path") from error
    except ValueError as error:  # no file's name holds a NUL
        raise BadInputError(f"cannot read {str(path)!r}: {error}; check the path") from error


def root() -> Path:
    """Return the folder of the cache: `FACEBENCH_CACHE`, or the user's cache folder."""
    chosen = os.environ.get("FACEBENCH_CACHE")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("facebench"))


def entry(kind: str, key: str, make: Callable[[Path], None]) -> Path:
    """Return the folder of files that `make` writes, made at the first call for this key.

    The folder appears whole or not at all, and each file in it is checked
    against its hash, so a damaged entry is made again.

    Args:
        kind: what the files are, such as `export`; a folder of the cache.
        key: `digest` of everything the files depend on.
        make: writes the files into the empty folder that it is given.

    Raises:
        BadInputError: the disk is full or the cache can't be written.
    """
    found = find(kind, key)
    if found is not None:
        return found
    folder = root() / kind / key
    try:
        writing.folder(folder.parent, below=root())
        locks.begin(root())
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".making-") as temporary:
            made = Path(temporary) / "entry"
            made.mkdir()
            make(made)
            _seal(made)
            _place(made, folder)
    except OSError as error:
        raise unwritable(error) from error
    remote.publish(kind, key, folder)
    return folder


def _place(made: Path, folder: Path) -> None:
    """Move what was made to where it belongs."""
    try:
        made.rename(folder)
    except OSError:
        # Another process made the same entry meanwhile, or this one is damaged.
        if not _intact(folder):
            folder.rename(made.parent / "damaged")
            made.rename(folder)


def unwritable(error: OSError) -> BadInputError:
    """Return the error for a disk that is full, or a cache that can't be written."""
    return BadInputError(
        f"cannot write the cache in {root()}: {error.strerror or error}; make room, or set "
        "FACEBENCH_CACHE to a folder that has some, and run the same command again"
    )


def find(kind: str, key: str) -> Path | None:
    """Return the folder of an entry that is here or in the store, with its files whole.

    It is marked as used, so that `eviction` leaves it alone while this process lives.
    """
    folder = root() / kind / key
    if folder.exists():
        locks.mark(root(), folder)
        if _intact(folder):
            return folder
    return folder if _fetched(kind, key, folder) else None


def _fetched(kind: str, key: str, folder: Path) -> bool:
    """Return whether the shared store had the entry, whole, and it is here now."""
    if not remote.serves(kind):
        return False
    try:
        writing.folder(folder.parent, below=root())
        locks.begin(root())
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".making-") as temporary:
            made = Path(temporary) / "entry"
            made.mkdir()
            if not remote.fetch(kind, key, made) or not _intact(made):
                return False
            _place(made, folder)
    except OSError as error:
        raise unwritable(error) from error
    return True


def _seal(folder: Path) -> None:
    hashes = {
        str(path.relative_to(folder)): file_digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    (folder / MANIFEST).write_text(json.dumps(hashes, indent=1))


def _intact(folder: Path) -> bool:
    try:
        hashes = json.loads((folder / MANIFEST).read_text())
        return all(file_digest(folder / name) == known for name, known in hashes.items())
    except (OSError, ValueError, AttributeError, BadInputError):
        return False
