"""QEMU's user mode: ARM programs run on this machine's kernel."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from facebench.architectures.errors import UnavailableError
from facebench.harness.devices.emulator import programs

PROGRAMS = {"aarch64": "qemu-aarch64", "armhf": "qemu-arm"}

# Where Debian has it, below a sysroot.
PYTHON = Path("usr", "bin", "python3.11")

_MEND = "'sudo apt-get install qemu-user' installs it"


def problem() -> str:
    """Return what is wrong with the emulators here, in one sentence; empty where nothing is."""
    for program in PROGRAMS.values():
        if shutil.which(program) is None:
            return f"{program} is not installed: {_MEND}"
        # A static build cannot load plugins, and has no such option.
        if "-plugin" not in programs.run([program, "--help"], _MEND):
            return (
                f"{shutil.which(program)} runs no plugins (a static build, or one made without "
                "them): 'sudo apt-get install qemu-user' installs one that does"
            )
    return ""


def version() -> str:
    """Return the emulator's version, such as `7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)`.

    Raises:
        UnavailableError: it is not installed.
    """
    first = programs.run([PROGRAMS["aarch64"], "--version"], _MEND).partition("\n")[0]
    return first.partition("version ")[2].strip()


def run(architecture: str, root: Path, command: Sequence[str | Path], mend: str) -> str:
    """Return what an ARM program prints when it is run with the files of a sysroot.

    Its input is empty.

    Raises:
        UnavailableError: it fails; `mend` says what to do then.
    """
    # The host's libraries are none of the emulated program's.
    clean = ["-U", "LD_LIBRARY_PATH", "-U", "LD_PRELOAD"]
    return programs.run([PROGRAMS[architecture], *clean, "-L", root, *command], mend)


def run_python(root: Path, code: str, mend: str) -> str:
    """Return what the sysroot's Python prints for `code`; nothing of the user's settings reaches
    it.

    Raises:
        UnavailableError: it fails; `mend` says what to do then.
    """
    python = root / PYTHON
    if not python.exists():
        raise UnavailableError(f"{root} holds no {PYTHON}: {mend}")
    return run("aarch64", root, [python, "-I", "-S", "-c", code], mend)
