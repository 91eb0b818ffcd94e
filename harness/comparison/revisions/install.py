"""Makes virtual environments with the standard library's venv, and fills them with pip."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from facebench.architectures.errors import BadInputError
from facebench.harness.machine.processes import follow, python_module

# Fills a folder: where, what pip is told one after the other, where it stands, who hears of it.
Maker = Callable[[Path, Sequence[Sequence[str]], Path, Callable[[str], None]], None]

_TOLD_LINES = 6
_LONGEST = 600


def make(
    folder: Path,
    commands: Sequence[Sequence[str]],
    where: Path,
    busy: Callable[[str], None],
) -> None:
    """Make a virtual environment that sees nothing of the one this process runs in.

    Args:
        folder: of the environment; its interpreter is `bin/python` then.
        commands: arguments of pip.
        where: the project's folder, which paths in its requirements are relative to.
        busy: told each line of pip.

    Raises:
        BadInputError: a command failed; the message has the end of what it said.
    """
    busy("making a virtual environment")
    _run([sys.executable, "-m", "venv", "--clear", str(folder)], "venv", where, busy)
    pip = python_module("pip", "--disable-pip-version-check", python=folder / "bin" / "python")
    for command in commands:
        first, *rest = command
        _run([*pip, first, "--no-input", *rest], f"pip {' '.join(command)}", where, busy)


def _run(command: Sequence[str], name: str, where: Path, busy: Callable[[str], None]) -> None:
    code, last = follow(command, busy, environment=_outside(), folder=where)
    if code:
        said = " / ".join(last[-_TOLD_LINES:])[-_LONGEST:] or f"exit code {code}"
        raise BadInputError(f"{name}: {said}")


def _outside() -> dict[str, str]:
    """Variables of a process that is to see its own environment alone."""
    hiding = ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "PIP_USER")
    return {name: value for name, value in os.environ.items() if name not in hiding}
