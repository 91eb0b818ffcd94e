"""Where a side's processes run: which Python, with which code and packages."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from facebench.harness.comparison.interleaved.layout import CURRENT, LAYOUTS, Layout
from facebench.harness.machine.processes import ChildProcess, python_module, thread_variables

# Prints the first of its arguments that is a module which can be imported.
_FIRST_FOUND = """
import importlib.util, sys
for name in sys.argv[1:]:
    try:
        found = importlib.util.find_spec(name)
    except ImportError:
        continue
    if found:
        print(name)
        break
"""


@dataclass(frozen=True)
class PythonEnvironment:
    """Processes of facebench are started in this environment.

    Attributes:
        name: to be shown, such as a revision.
        python: interpreter of the environment.
        variables: of the environment, beyond ours.
        folder: that its processes stand in; ours where it is None.
        layout: names of the modules of the facebench in it.
    """

    name: str
    python: Path = Path(sys.executable)
    variables: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    layout: Layout = CURRENT

    def with_its_layout(self) -> Self | None:
        """Return the environment with the layout that its facebench has; None if it has none."""
        printed = self.run_code(_FIRST_FOUND, *(layout.cli for layout in LAYOUTS)).stdout.strip()
        found = [layout for layout in LAYOUTS if layout.cli == printed]
        return replace(self, layout=found[0]) if found else None

    def start(self, module: str, threads: int, *arguments: str) -> ChildProcess:
        """Start a module as a process that reads requests and writes replies."""
        return ChildProcess(
            self.command(module, *arguments),
            environment=self.all_variables() | thread_variables(threads),
            folder=self.folder,
        )

    def command(self, module: str, *arguments: str) -> list[str]:
        """Return the command line that runs a module."""
        return python_module(module, *arguments, python=self.python)

    def run_code(self, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run some Python to its end, and return what it printed."""
        return subprocess.run(
            [str(self.python), "-P", "-c", code, *arguments],
            env=self.all_variables(),
            cwd=self.folder,
            capture_output=True,
            text=True,
        )

    def all_variables(self) -> dict[str, str]:
        """Return all environment variables of its processes."""
        return dict(os.environ) | dict(self.variables)
