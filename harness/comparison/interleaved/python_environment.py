"""Where a side's processes run: which Python, with which code and packages."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class PythonEnvironment:
    """An environment that processes of facebench are started in.

    Attributes:
        name: to be shown, such as a revision.
        python: interpreter of the environment.
        variables: of the environment, beyond ours.
        folder: that its processes stand in; ours where it is None.
    """

    name: str
    python: Path = Path(sys.executable)
    variables: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None

    def start(
        self, module: str, threads: int, errors: IO[bytes], *arguments: str
    ) -> subprocess.Popen[bytes]:
        """Start a module as a process that reads requests and writes replies."""
        variables = dict.fromkeys(_THREAD_VARIABLES, str(threads))
        return subprocess.Popen(
            self.command(module, *arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=self.environment() | variables,
            cwd=self.folder,
        )

    def command(self, module: str, *arguments: str) -> list[str]:
        """That runs a module."""
        # -P: what lies where the process stands is no module of ours.
        return [str(self.python), "-P", "-m", module, *arguments]

    def environment(self) -> dict[str, str]:
        """All variables of its processes."""
        return dict(os.environ) | dict(self.variables)
