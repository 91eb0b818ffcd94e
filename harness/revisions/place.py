"""How to start a process of one side."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Place:
    """A side's interpreter, with all that makes its processes its own.

    Attributes:
        name: to show.
        python: the interpreter of its environment, in which `harness` can be imported.
        variables: environment variables that are set beyond those of this process.
        folder: where its processes stand: the files of a plan are relative to it.
    """

    name: str
    python: Path
    variables: Mapping[str, str]
    folder: Path

    def command(self, *arguments: str) -> list[str]:
        """A facebench command of this side."""
        # -P: what lies where the process stands is no module of ours.
        return [str(self.python), "-P", "-m", "harness.cli", *arguments]

    def environment(self) -> dict[str, str]:
        """All variables of its processes."""
        return dict(os.environ) | dict(self.variables)
