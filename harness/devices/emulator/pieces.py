"""The pieces of the emulated device: each is there whole or not at all.

Beside a piece lies a note of what it was made from (`site.json` beside `site`), so a
piece that was made from something older counts as missing.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facebench.harness.storage import cache, locks, writing

_MAKING = ".making-"

# Puts a piece at the path that it is given, where nothing is, and returns the versions
# of what is in it.
Make = Callable[[Path], dict[str, str]]


@dataclass(frozen=True)
class Piece:
    """It is a file or folder of the set-up.

    Attributes:
        path: where it is, below `folder()`.
        name: for people.
        recipe: what it is made from; another one means that it must be made again.
        make: makes it.
    """

    path: str
    name: str
    recipe: str
    make: Make

    def is_made(self) -> bool:
        """Return whether it is there, made by this recipe."""
        path = folder() / self.path
        return path.exists() and read(_note(path)).get("recipe") == self.recipe

    def versions(self) -> dict[str, str]:
        """Return versions of what is in it, as it was made."""
        return dict(read(_note(folder() / self.path)).get("versions", {}))

    def put(self) -> None:
        """Make it in a folder beside, and put it in its place with its note."""
        path = folder() / self.path
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder(), prefix=_MAKING) as temporary:
            made = Path(temporary) / "made"
            versions = self.make(made)
            # Until the new note is written, what is there counts as missing.
            _note(path).unlink(missing_ok=True)
            # A folder can't be replaced as a file can.
            if path.is_dir() or path.is_symlink():
                path.rename(Path(temporary) / "old")
            made.replace(path)
        write(_note(path), {"recipe": self.recipe, "versions": versions})


def folder() -> Path:
    """Return where all of it is."""
    return cache.root() / "emulated"


@contextmanager
def alone() -> Iterator[None]:
    """Keep other set-ups waiting; sweep up what a killed one left."""
    writing.folder(folder(), below=cache.root())
    with writing.shared(folder() / ".lock") as lock:
        locks.lock(lock, fcntl.LOCK_EX)
        for left in folder().glob(f"{_MAKING}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield


def read(path: Path) -> dict[str, Any]:
    """Return a JSON object; empty where none can be read."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write(path: Path, data: dict[str, Any]) -> None:
    """Write a JSON object, which appears whole."""
    writing.write(path, json.dumps(data, indent=1))


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")
