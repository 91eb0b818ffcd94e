"""This module loads what comes from outside: a user's files, and installed packages."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path

from facebench.architectures.errors import BadInputError

# Files that register networks, as PATH lists folders. Processes that we start inherit it.
VARIABLE = "FACEBENCH_NETWORKS"

_source = ""


class PluginWarning(UserWarning):
    """An installed package could not be loaded, and is passed over."""


def load_installed(kind: str) -> None:
    """Import what installed packages offer as entry points of the group `facebench.<kind>`.

    Importing a module, or an object of one, registers what it decorates. One that fails
    is named in a warning and passed over: a broken plugin stops nobody's work.
    """
    for found in entry_points(group=f"facebench.{kind}"):
        package = found.dist.name if found.dist else found.value
        try:
            with _from(f"{package} {found.dist.version if found.dist else ''}"):
                found.load()
        except (Exception, SystemExit) as error:  # whatever it raises is the package's defect
            warnings.warn(
                f"{package} is passed over: its {kind} {found.value!r} cannot be imported "
                f"({type(error).__name__}: {error})",
                PluginWarning,
                stacklevel=2,
            )


def user_files() -> list[Path]:
    """Return the files that `FACEBENCH_NETWORKS` names."""
    return [Path(text) for text in os.environ.get(VARIABLE, "").split(os.pathsep) if text]


def load_files() -> None:
    """Import the user's files.

    Raises:
        BadInputError: one is missing or cannot be imported; the message names its line.
    """
    for path in user_files():
        load_file(path)


def digest(path: Path) -> str:
    """Hash of a file's text: the `source` of what it registers.

    Raises:
        BadInputError: it can't be read.
    """
    return hashlib.sha256(_text(path)).hexdigest()


def load_file(path: Path) -> None:
    """Import one file; what it registers carries the hash of its text."""
    text = _text(path)
    name = f"facebench_user_{path.stem}_{digest(path)[:8]}"
    spec = importlib.util.spec_from_loader(name, loader=None, origin=str(path))
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    module.__file__ = str(path)
    sys.modules[name] = module
    try:
        with _from(digest(path)):
            exec(compile(text, str(path), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        del sys.modules[name]
        raise BadInputError(
            f"{path}{_line(error, path)}: {type(error).__name__}: {error}"
        ) from error


def _text(path: Path) -> bytes:
    if path.exists() and not path.is_file():
        raise BadInputError(f"{path} is no regular file: give a file of Python")
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInputError(f"cannot read {path}: {error.strerror}; check the path") from error


def source() -> str:
    """Return what is being loaded: the hash of a user's file, a package with its version, or
    nothing.
    """
    return _source


@contextmanager
def _from(name: str) -> Iterator[None]:
    global _source
    before, _source = _source, name
    try:
        yield
    finally:
        _source = before


def _line(error: BaseException, path: Path) -> str:
    """Return where in the file, as far as it is known."""
    if isinstance(error, SyntaxError) and error.lineno:
        return f", line {error.lineno}"
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    return f", line {lines[-1]}" if lines else ""
