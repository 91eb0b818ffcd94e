"""Builds the project's own C files: the session for ARM, the emulator's plugin for this machine.

The compiler is the one in the `ziglang` package, which brings the C libraries of
all machines with it, so no cross compiler and no sysroot are needed to build.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from facebench.architectures.errors import UnavailableError

_ZIG = [sys.executable, "-P", "-m", "ziglang", "cc"]

# The core whose instructions every machine of a triple has.
_CORES = {
    "aarch64-linux-gnu": "generic",
    "arm-linux-gnueabihf": "generic+v7a+neon",
    "x86_64-linux-gnu": "x86_64",
}

# The C library's version, for which the oldest systems in use have something at least as new.
_GLIBC = "2.28"


def session(triple: str, folder: Path) -> Path:
    """Build the session in C, which runs what TVM compiled.

    Args:
        triple: `aarch64-linux-gnu`, `arm-linux-gnueabihf` (ARMv7-A with NEON) or
            `x86_64-linux-gnu`.
        folder: where the executable `session` is written.

    Raises:
        UnavailableError: the compiler is not installed, fails or does not know the triple.
    """
    if triple not in _CORES:
        raise UnavailableError(
            f"there is no session for {triple}; there is one for {', '.join(sorted(_CORES))}"
        )
    output = folder / "session"
    source = Path(__file__).with_name("session.c")
    machine = ["-target", f"{triple}.{_GLIBC}", f"-mcpu={_CORES[triple]}"]
    # Libraries that it opens find in it what TVM's runtime has elsewhere (-rdynamic).
    _compile([*_ZIG, *machine, "-std=c11", "-O2", "-rdynamic", str(source), "-ldl"], output)
    return output


def native_library(source: Path, output: Path, options: Sequence[str] = ()) -> None:
    """Compile a C file into a shared library that this machine's programs load.

    What it leaves undefined is looked for in the program that loads it.

    Args:
        source: the C file.
        output: the library.
        options: that GCC and Clang take alike.

    Raises:
        UnavailableError: no compiler is installed, or it fails.
    """
    found = shutil.which("cc")
    compiler = [found] if found else [*_ZIG, "-Wl,-z,undefs"]
    _compile([*compiler, "-shared", "-fPIC", "-std=c11", "-O2", *options, str(source)], output)


def _compile(command: list[str], output: Path) -> None:
    try:
        done = subprocess.run([*command, "-o", str(output)], capture_output=True, text=True)
    except OSError as error:
        raise UnavailableError(f"cannot run {command[0]}: {error.strerror}") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no output"]
        first = next((line for line in lines if "error" in line), lines[-1])
        raise UnavailableError(
            f"building {output} failed ({first}); 'pip install ziglang' installs the compiler"
        )
