"""The device `local` is this machine."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from facebench.harness.devices.registry import DEVICES, Facts
from facebench.harness.machine import environment
from facebench.harness.runtimes.registry import installed
from facebench.harness.runtimes.session import LocalSession, Session


class Local:
    """This machine; each job has a process of its own already, see `runs.worker_pool`."""

    name = "local"
    kind = "measured"
    remote = False

    @cache  # noqa: B019  # there is one, for good
    def facts(self) -> Facts:
        """Return what it says of itself."""
        return Facts("host", tuple(installed()), 1, environment.machine_key(), environment.cores())

    def open(self, runtime: str, artifact: Path, threads: int, counting: bool = False) -> Session:
        """Return a session in this process."""
        return LocalSession(runtime, artifact, threads)


DEVICES.add("local", Local())
