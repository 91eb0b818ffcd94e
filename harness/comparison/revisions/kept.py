"""Folders of the cache for revisions, one process at a time in them, and what in them is whole."""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from facebench.harness.storage import cache, writing
from facebench.harness.storage.locks import lock

# All that is compared is to see one state of the machine: yesterday's is not gone on with.
_KEPT_S = 24 * 3600

_COMPLETE = "complete"


def folder(kind: str) -> Path:
    """Return where things of a kind are kept, absolute: processes of a revision stand elsewhere."""
    return cache.root().absolute() / "revisions" / kind


@contextmanager
def locked(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a lock; it is gone when its holder is, however that ends.

    Args:
        path: the lock's file, made where there is none, and left.
        waiting: called once where another process holds it.
    """
    writing.folder(path.parent, below=cache.root().absolute())
    with writing.shared(path) as file:
        try:
            lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            lock(file, fcntl.LOCK_EX)
        yield


def is_fresh(folder: Path) -> bool:
    """Return whether a folder is whole, and of today."""
    try:
        return time.time() - (folder / _COMPLETE).stat().st_mtime < _KEPT_S
    except OSError:
        return False


def complete(folder: Path) -> None:
    """Say that a folder is whole."""
    writing.write(folder / _COMPLETE, "")


def empty(folder: Path) -> None:
    """Make a folder anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
