"""Environments made without pip: the interpreter of the tests, by another name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from facebench.architectures.errors import BadInputError

HERE = Path(__file__).parents[4]


class Fake:
    """A `Maker` that notes what it was asked for; facebench is in what it makes where asked."""

    def __init__(self, facebench: bool = True, fails: str = "", stops: bool = False) -> None:
        self.asked: list[tuple[Sequence[Sequence[str]], Path]] = []
        self._where = HERE if facebench else Path("nowhere")
        self._fails = fails
        self._stops = stops

    def __call__(
        self,
        folder: Path,
        commands: Sequence[Sequence[str]],
        where: Path,
        busy: Callable[[str], None],
    ) -> None:
        self.asked.append((commands, where))
        (folder / "bin").mkdir(parents=True)
        python = folder / "bin" / "python"
        # -S where there is to be none: the tests' own packages hold an installed one.
        site = "" if self._where is HERE else "-S "
        python.write_text(
            f'#!/bin/sh\nPYTHONPATH="$PYTHONPATH:{self._where}" exec {sys.executable} {site}"$@"\n'
        )
        python.chmod(0o755)
        if self._fails:
            raise BadInputError(self._fails)
        if self._stops:
            raise KeyboardInterrupt


class Borrowing:
    """A `Maker` of environments that have the packages of the tests' own, but not its facebench.

    That one is installed editable, by a `.pth` file, which an interpreter without site skips.
    """

    def __call__(
        self,
        folder: Path,
        commands: Sequence[Sequence[str]],
        where: Path,
        busy: Callable[[str], None],
    ) -> None:
        packages = ":".join(path for path in sys.path if Path(path).name == "site-packages")
        (folder / "bin").mkdir(parents=True)
        python = folder / "bin" / "python"
        python.write_text(
            f'#!/bin/sh\nPYTHONPATH="$PYTHONPATH:{packages}" exec {sys.executable} -S "$@"\n'
        )
        python.chmod(0o755)
