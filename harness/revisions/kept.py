"""Folders of the cache for revisions, and one process at a time in them."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import cache


def folder(kind: str) -> Path:
    """Where things of a kind are kept, absolute: processes of a revision stand elsewhere."""
    return cache.root().absolute() / "revisions" / kind


@contextmanager
def locked(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a lock; it is gone when its holder is, however that ends.

    Args:
        path: the lock's file, made where there is none, and left.
        waiting: called once where another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
