"""Says who uses the cache: marks that live as long as their process.

A process that uses the cache holds a lock on a file of its own, which the system lets go
of however the process ends. An entry's last use is the time of its folder. What was used
since the oldest living user began may still be in use.
"""

from __future__ import annotations

import fcntl
import math
import os
import re
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from io import FileIO
from pathlib import Path
from typing import IO

from facebench.harness.storage import writing

_FOLDER = "users"
_GATE = "users.lock"

# At the root of a cache that is ours alone: only from such a one is anything removed.
MARKER = "facebench-cache"

# What lay at its root before there was a marker; others have files of the same form only.
_OURS = frozenset(
    {
        *("crops", "embeddings", "emulated", "emulation", "export", "landmarks", "lowered"),
        *("ncnn", "overlays", "parts", "peak", "revisions", "runs", "search", "synthetic"),
        *("throughput.jsonl", "training-index", "training-survey", "tvm", "users", "users.lock"),
        "vega",
    }
)
_OUR_FILES = re.compile(r"(history|reference)-[0-9a-f]+\.jsonl?")

# Of this process: for each cache, its locked file and when it began.
_held: dict[tuple[int, Path], tuple[IO[bytes], float]] = {}


def lock(file: int | IO[bytes] | FileIO, how: int) -> bool:
    """Lock a file; where a disk knows no locks, say so once and go on without.

    Args:
        file: it, or its descriptor.
        how: as `fcntl.flock` takes it.

    Returns:
        Whether it is locked: false where the disk knows no locks.

    Raises:
        BlockingIOError: another process holds it, and `how` is not to wait.
    """
    try:
        fcntl.flock(file, how)
    except BlockingIOError:
        raise
    except OSError as error:
        _say_there_are_none(error.strerror)
        return False
    return True


@cache
def _say_there_are_none(reason: str) -> None:
    warnings.warn(
        f"files cannot be locked on this disk ({reason}): let one facebench at a time write there; "
        "nothing is removed from a cache on it",
        stacklevel=3,
    )


def begin(root: Path) -> float:
    """Note that this process uses the cache; the time since which it does, in seconds.

    A cache that can't be written to has nothing removed from it: there it is not noted.
    """
    key = os.getpid(), root
    if key in _held:
        return _held[key][1]
    began = time.time()
    with suppress(OSError):
        if is_ours(root) and not (root / MARKER).exists():
            writing.write(root / MARKER, "Made by facebench: what is here may be removed.\n")
        writing.folder(root / _FOLDER, below=root)
        with _gate(root, fcntl.LOCK_SH) as locked:
            path = root / _FOLDER / f"{os.getpid()}-{time.monotonic_ns()}"
            file = path.open("xb")
            began = os.fstat(file.fileno()).st_mtime
            if not (locked and lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)):
                path.unlink()  # nobody could tell when this process ends
        _held[key] = file, began
    return began


def is_ours(root: Path) -> bool:
    """Say whether a cache is ours alone: it has our marker, or nothing else than ours is in it."""
    marker = root / MARKER
    if marker.is_file() and not marker.is_symlink():
        return True
    try:
        names = os.listdir(root)
    except FileNotFoundError:
        return True
    return all(name in _OURS or _OUR_FILES.fullmatch(name) for name in names)


def mark(root: Path, folder: Path) -> None:
    """Note that an entry is used now."""
    began = begin(root)
    with suppress(OSError), _gate(root, fcntl.LOCK_SH):
        # A clock that was set back is not to make it look unused.
        now = max(time.time(), began)
        os.utime(folder, (now, now))


@contextmanager
def alone(root: Path) -> Iterator[float]:
    """Keep all others from using a new entry meanwhile; since when the oldest of them lives.

    Infinity where there are none but this process; minus infinity on a disk without locks,
    where nobody knows who lives.
    """
    with _gate(root, fcntl.LOCK_EX) as locked:
        living = _living(root / _FOLDER) if locked else iter([-math.inf])
        yield min(living, default=math.inf)


def _living(folder: Path) -> Iterator[float]:
    """When each living user began; files that the dead left are removed."""
    own = {Path(file.name) for file, _ in _held.values()}
    for path in folder.glob("*"):
        with suppress(FileNotFoundError), path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if path not in own:
                    yield path.stat().st_mtime
            else:
                path.unlink()


@contextmanager
def _gate(root: Path, how: int) -> Iterator[bool]:
    """Yield whether the gate is locked, as it is on every disk that knows locks."""
    with writing.shared(root / _GATE) as file:
        yield lock(file, how)
