"""Registers the networks of a user's file, in this process and in those that it starts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from facebench.architectures import extensions, registry
from facebench.architectures.errors import BadInputError


def registered_in(file: Path) -> list[str]:
    """Return the names of the networks that a file registers, as it stands now.

    What it registered before it was changed is forgotten.

    Raises:
        BadInputError: it cannot be read or run, or registers none.
    """
    path = file.absolute()
    digest = extensions.digest(path)
    # Those of files that were named before are there by now, this one's too where it was.
    earlier = [name for name in registry.names() if _file_of(name) == path]
    if not _of(digest):
        registry.forget(earlier)
        _load(path)
    others = [one for one in extensions.user_files() if one != path]
    os.environ[extensions.VARIABLE] = os.pathsep.join(map(str, [*others, path]))
    mine = _of(digest)
    if not mine:
        raise BadInputError(
            f"{file} registers no network: decorate a function with @register, or begin with "
            "'facebench new block NAME'"
        )
    return mine


def _load(path: Path) -> None:
    """Import a file; one that fails half-way leaves nothing behind."""
    known = set(registry.names())
    try:
        extensions.load_file(path)
    except BaseException:
        registry.forget(set(registry.names()) - known)
        raise


def _of(digest: str) -> list[str]:
    return [name for name in registry.names() if registry.find(name).source == digest]


def _file_of(name: str) -> Path | None:
    """Return the file that registered a network, where it was imported."""
    file = getattr(sys.modules.get(registry.module(name)), "__file__", None)
    return Path(file) if file else None
