"""Lists what the cache holds, and removes what was used least recently.

Only what can be made again is removed: entries that `cache.entry` made, what a process
that was killed left half made, and processes of cases that no run can go on with. Never
what a living process of ours may be using (`use`).
"""

from __future__ import annotations

import math
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from facebench.architectures.errors import BadInputError
from facebench.harness.storage import cache, locks

# Where FACEBENCH_CACHE_LIMIT does not say: bytes that a run leaves in the cache at most.
LIMIT_BYTES = 20 * 10**9

# Kinds of the cache that are of no use any more after so many seconds.
EXPIRES_S = {"parts": 24 * 3600.0, "retrained": 7 * 24 * 3600.0}

# What is made again when it is wanted; nothing in other folders is touched.
KINDS = frozenset(
    {
        *("crops", "embeddings", "emulation", "executorch", "export", "kernels", "landmarks"),
        *("litert", "lowered", "measures", "mnn", "modules", "ncnn", "networks", "overlays"),
        *("parts", "peak", "reports", "retrained", "search", "synthetic", "torchscript"),
        *("training-index", "training-survey", "tvm", "vega"),
    }
)

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_LEFT = ".making-", ".pruned-"


@dataclass(frozen=True)
class Item:
    """It is a folder of the cache that can be removed.

    Attributes:
        kind: what it holds, such as `export`.
        folder: where it is.
        size: bytes of its files.
        used: when it was used last, in seconds since 1970.
        debris: whether it is of no use to anybody any more.
    """

    kind: str
    folder: Path
    size: int
    used: float
    debris: bool


def items() -> list[Item]:
    """Return all that could be removed, the least recently used first."""
    root = cache.root()
    if not locks.is_ours(root):
        return []
    found = [
        Item(kind.name, folder, size_of(folder), folder.stat().st_mtime, debris)
        for kind in _folders(root)
        if kind.name in KINDS
        for folder in _folders(kind)
        if (debris := _is_debris(kind.name, folder)) or (folder / cache.MANIFEST).is_file()
    ]
    return sorted(found, key=lambda item: item.used)


def other_bytes(of: list[Item]) -> int:
    """Sum the bytes of what is never removed: the emulated device, checkouts, clocks' histories."""
    return size_of(cache.root()) - sum(item.size for item in of)


def prune(limit: int) -> list[Item]:
    """Remove what was used least recently, until at most `limit` bytes are left.

    What a living process may be using stays, though more than `limit` is then left.

    Raises:
        BadInputError: the cache can't be written.
    """
    candidates = items()
    left = sum(item.size for item in candidates)
    removed = []
    for item in candidates:
        if left <= limit and not item.debris:
            continue
        if _remove(item):
            removed.append(item)
            left -= item.size
    return removed


def limit() -> int:
    """Return how many bytes a run leaves in the cache: FACEBENCH_CACHE_LIMIT, such as 5G, or 20 GB.

    Raises:
        BadInputError: the variable is no size.
    """
    chosen = os.environ.get("FACEBENCH_CACHE_LIMIT")
    return LIMIT_BYTES if chosen is None else parse_size(chosen, "FACEBENCH_CACHE_LIMIT")


def parse_size(text: str, where: str) -> int:
    """Return the bytes that a text such as 500M, 5G or 1.5TB means.

    Raises:
        BadInputError: it is no size; `where` says whose.
    """
    match = re.fullmatch(r"(\d{1,12}(?:\.\d{1,6})?)\s*([kmgt]?)b?", text.strip().lower())
    if match is None:
        raise BadInputError(f"{where} {text!r} is no size: give one such as 500M or 5G")
    return int(float(match[1]) * _UNITS[match[2]])


def size_of(folder: Path) -> int:
    """Return the bytes of the files in a folder; links are not followed."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_size
    return total


def _folders(of: Path) -> Iterator[Path]:
    with suppress(OSError):
        for entry in sorted(os.scandir(of), key=lambda entry: entry.name):
            if entry.is_dir(follow_symlinks=False):
                yield Path(entry.path)


def _is_debris(kind: str, folder: Path) -> bool:
    """Return what a killed process left half made, or processes that no run goes on with."""
    old = time.time() - folder.stat().st_mtime > EXPIRES_S.get(kind, math.inf)
    return old or folder.name.startswith(_LEFT)


def _remove(item: Item) -> bool:
    """Return whether an item was removed: nobody may be using it."""
    root = cache.root()
    aside = item.folder.with_name(f"{_LEFT[1]}{item.folder.name}-{os.getpid()}")
    try:
        with locks.alone(root) as since:
            # It may have been used since it was looked at.
            if item.folder.stat().st_mtime >= since:
                return False
            item.folder.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
    except FileNotFoundError:
        return False  # another process was faster
    except OSError as error:
        raise cache.unwritable(error) from error
    return True
