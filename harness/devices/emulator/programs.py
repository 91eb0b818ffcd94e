"""Programs of the system, run to their end."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from facebench.architectures.errors import UnavailableError


def run(command: Sequence[str | Path], mend: str, cwd: Path | None = None) -> str:
    """Return what a program prints on standard output.

    Args:
        command: the program and its arguments.
        mend: what the user can do where it fails; the end of the sentence.
        cwd: the folder it is run in.

    Raises:
        UnavailableError: it is not installed, or fails.
    """
    name = Path(command[0]).name
    try:
        done = subprocess.run(
            [str(word) for word in command],
            cwd=cwd,
            # Its reason is quoted in a sentence of ours, in the language of ours.
            env=os.environ | {"LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise UnavailableError(f"cannot run {name} ({error.strerror}): {mend}") from error
    if done.returncode:
        raise UnavailableError(f"{name} failed ({_reason(done)}): {mend}")
    return done.stdout


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    """Return the first line that is marked as an error, as apt and pip do it, or else the last
    line.
    """
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    marked = [line for line in lines if line.startswith(("E:", "ERROR:"))]
    chosen = (marked or lines[-1:] or [f"exit code {done.returncode}"])[0]
    return chosen.removeprefix("E:").removeprefix("ERROR:").strip().rstrip(".")
