"""Links object files into a shared library, for any target, with LLVM's linker.

The linker comes with the `ziglang` package. A library that TVM makes needs
nothing of the C library but what every process has loaded, so no cross
compiler and no sysroot are needed.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from facebench.architectures.errors import UnavailableError


def shared_library(
    output: str,
    objects: Sequence[str],
    options: Sequence[str] | None = None,
    cwd: str | None = None,
    ccache_env: dict[str, str] | None = None,
) -> None:
    """Link, as TVM's `fcompile`, `objects` into the shared library `output`.

    Raises:
        UnavailableError: the linker is not installed or fails.
    """
    command = [sys.executable, "-P", "-m", "ziglang", "ld.lld", "-shared", "-o", output, *objects]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no output"]
        raise UnavailableError(
            f"linking {output} failed ({last[0]}); 'pip install ziglang' installs the linker"
        )


# TVM asks its linker functions for these.
shared_library.output_format = "so"  # type: ignore[attr-defined]
shared_library.need_system_lib = False  # type: ignore[attr-defined]
