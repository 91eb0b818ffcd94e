"""What a board's server needs to know to start sessions: the protocol, and this machine."""

from __future__ import annotations

import os
import sys
from functools import cached_property
from pathlib import Path
from typing import Protocol

from facebench.harness.compiler import library
from facebench.harness.machine import environment
from facebench.harness.machine.cores import CORES, identify
from facebench.harness.runtimes.registry import RUNTIMES


class Launcher(Protocol):
    """Starts sessions on what a server offers."""

    @property
    def name(self) -> str:
        """Return the name of the emulated core; empty for a real machine."""
        ...

    @property
    def kind(self) -> str:
        """Say what its figures are: `measured` or `emulated`."""
        ...

    @property
    def target(self) -> str:
        """Return what to compile for, a name in `compiler.targets`; empty where it is not known."""
        ...

    @property
    def identity(self) -> str:
        """Hash of what makes its figures comparable."""
        ...

    @property
    def cores(self) -> int:
        """Return how many CPU cores a runtime may use."""
        ...

    def runtimes(self) -> list[str]:
        """Return names of those that it can open."""
        ...

    def command(self, runtime: str, counters: Path | None) -> list[str]:
        """Return the command of a session; where asked for, it leaves `counters`.0 and
        `counters`.1.

        Raises:
            FacebenchError: the runtime does not run there.
        """
        ...

    def environment(self, runtime: str) -> dict[str, str]:
        """Return the variables of a session of a runtime, but for those that limit threads."""
        ...


class HereLauncher:
    """Starts sessions on this machine."""

    name = ""
    kind = "measured"

    @cached_property
    def target(self) -> str:
        """Return the target of the biggest known core; empty where none is known, as on x86-64."""
        try:
            found = set(identify(Path("/proc/cpuinfo").read_text()))
        except OSError:
            return ""
        # Cores are described from the smallest to the biggest.
        known = [core for core in CORES if core.name in found]
        # A core of 64 bits may run a system of 32, whose libraries are others.
        fits = library.machine(Path("/proc/self/exe")) == "EM_AARCH64"
        return known[-1].target if known and fits else ""

    @property
    def identity(self) -> str:
        """Return the local device's identity, so that a board is the same however it is reached."""
        return environment.machine_key()

    @property
    def cores(self) -> int:
        """Return how many cores this process may use."""
        return environment.cores()

    def runtimes(self) -> list[str]:
        """Return those whose packages are installed."""
        return [runtime.name for runtime in RUNTIMES if runtime.opens()]

    def command(self, runtime: str, counters: Path | None) -> list[str]:
        """Return this Python; it counts nothing."""
        # -P: a folder called `harness` where the server runs is not ours.
        return [sys.executable, "-P", "-m", "facebench.harness.runtimes.session_process"]

    def environment(self, runtime: str) -> dict[str, str]:
        """Return this process's: a session here needs none of its own."""
        return dict(os.environ)
