"""Writes byte code for the emulated Python ahead of its sessions.

A module without byte code is compiled as it is imported, and what that allocates moves all
that is allocated after it. An inference then takes other turns in the allocator and in tables
that go by addresses: some hundred instructions, by which two counts of one artifact differed
where the first was the one that compiled.
"""

from __future__ import annotations

import compileall
import sys
from pathlib import Path

from facebench.harness.storage import fingerprints

# The folder that `facebench` is imported from.
PACKAGES = Path(__file__).parents[4]

# All that a session runs of ours is imported by these.
_SESSION = "facebench.harness.runtimes"

# The emulated Python's; another version's byte code would be none of its.
_VERSION = (3, 11)


def of_folder(folder: Path) -> None:
    """Write that of all modules in a folder, but for what is linked there."""
    if _wanted():
        compileall.compile_dir(folder, quiet=2)


def of_session() -> None:
    """Write that of our own modules which a session may import, where it is missing or old.

    Where it cannot be written, no session can write it either: then all compile alike.
    """
    if not _wanted():
        return
    for name in fingerprints.closure(_SESSION):
        stem = PACKAGES.joinpath(*name.split("."))
        for path in (stem.with_suffix(".py"), stem / "__init__.py"):
            if path.is_file():
                compileall.compile_file(path, quiet=2)


def _wanted() -> bool:
    return sys.version_info[:2] == _VERSION and not sys.dont_write_bytecode
