"""Starts sessions on an emulated core."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from facebench.architectures.errors import UnavailableError
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.devices.emulator import bytecode, qemu, wheels
from facebench.harness.devices.emulator.overlay import overlay
from facebench.harness.devices.emulator.setup import COMMAND, Emulated, find
from facebench.harness.machine.boards import described
from facebench.harness.machine.cores import Core
from facebench.harness.storage import cache, fingerprints

# Runtimes with a build for the emulated Python, or a session in C, by architecture.
_RUNTIMES = {"aarch64": ("ncnn", "onnxruntime", "tvm"), "armhf": ("tvm",)}


class EmulatedLauncher:
    """Starts sessions in QEMU, which see a named core and count what they execute.

    Raises:
        UnknownNameError: there is no such core or board.
        UnavailableError: no emulated device is set up.
    """

    kind = "emulated"

    def __init__(self, core: str) -> None:
        self._core = described(core)
        self._emulated: Emulated = find()
        self.name = self._core.name
        self.target = self._core.target

    @property
    def architecture(self) -> str:
        """Return `aarch64` or `armhf`."""
        return "armhf" if TARGETS[self.target].elf_machine == "EM_ARM" else "aarch64"

    @cached_property
    def identity(self) -> str:
        """Hash of what the counts depend on beyond the artifact."""
        return cache.digest(
            repr(_counted(self._core)),
            self._emulated.versions,
            cache.file_digest(self._emulated.plugin),
            cache.file_digest(self._emulated.session(self.architecture)),
            fingerprints.code(__name__),
        )

    @property
    def cores(self) -> int:
        """Return how many cores a board with this core has."""
        return self._core.figures.cores if self._core.figures else 4

    def runtimes(self) -> list[str]:
        """Return those that can be opened."""
        extras = self._emulated.extras() if self.architecture == "aarch64" else []
        return [*_RUNTIMES[self.architecture], *extras]

    def require(self, runtime: str) -> None:
        """See that a runtime can be opened.

        Raises:
            UnavailableError: there is no build of it for the core's architecture, or it is not
                set up.
        """
        if runtime in self.runtimes():
            return
        if self.architecture == "aarch64" and runtime in wheels.EXTRAS:
            reason = self._emulated.absent(runtime)
            raise UnavailableError(
                f"runtime {runtime} is not set up on emulated cores"
                + (f" ({reason})" if reason else "")
                + f": '{COMMAND}' sets it up where it can be had"
            )
        raise UnavailableError(
            f"runtime {runtime} does not run on the emulated {self.name}: use "
            f"{' or '.join(self.runtimes())}"
        )

    def command(self, runtime: str, counters: Path | None) -> list[str]:
        """Return the command of a session, which writes its counters to `counters`.0 and .1.

        Raises:
            UnavailableError: the runtime does not run there.
        """
        self.require(runtime)
        root = overlay(self._emulated.root(self.architecture), self._core)
        # By their paths, since a session has no PATH.
        emulator = shutil.which(qemu.PROGRAMS[self.architecture]) or ""
        command = [emulator, "-seed", "1", "-L", str(root), "-cpu", self._core.qemu_cpu]
        if counters is not None:
            command += ["-plugin", f"{self._emulated.plugin},out={counters}{self._levels()}"]
        if setarch := shutil.which("setarch"):
            # Without it, addresses differ from run to run, and with them a few instructions.
            command = [setarch, "-R", *command]
        if runtime == "tvm":
            return [*command, str(self._emulated.session(self.architecture))]
        bytecode.of_session()
        return [
            *command,
            str(root / qemu.PYTHON),
            "-P",
            "-m",
            "facebench.harness.runtimes.counted_process",
        ]

    def environment(self, runtime: str) -> dict[str, str]:
        """Return the variables of a session of a runtime.

        None of the user's: Python keeps copies of them, and where its data lie hangs on these.
        """
        path = os.pathsep.join(map(str, self._emulated.packages(runtime)))
        kept = {"PYTHONDONTWRITEBYTECODE": "1"} if sys.dont_write_bytecode else {}
        return {"PYTHONPATH": path, "PYTHONHASHSEED": "0", **kept}

    def _levels(self) -> str:
        if self._core.figures is None:
            return ""
        return "".join(
            f",l{number}={level.size_bytes}:{level.associativity}:{level.line_bytes}"
            for number, level in enumerate(self._core.figures.levels, 1)
        )


def _counted(core: Core) -> Core:
    """Return the core without what no count depends on: the clock and the memory of a board."""
    if core.figures is None:
        return core
    figures = replace(core.figures, board="", frequency_hz=1, dram_bandwidth_bytes_s=1.0)
    return replace(core, figures=figures, sources={})
