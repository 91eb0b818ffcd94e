"""What a device says of itself, asked in a process that may be lost with it."""

from __future__ import annotations

import json
import subprocess
import sys

from facebench.architectures.errors import UnavailableError
from facebench.harness.devices.registry import Facts

# Of the whole question: a process's start, a connection, and one call.
_SECONDS = 60.0

_PROGRAM = "facebench.harness.devices.board.tell_facts"


def facts(name: str) -> Facts:
    """Return the facts of the device called `name`.

    Raises:
        UnavailableError: it cannot be reached, or answers no more.
    """
    command = [sys.executable, "-P", "-m", _PROGRAM, name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"{name} did not say what it is within {_SECONDS:.0f} s") from error
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["it gave no reason"]
        raise UnavailableError(last[0])
    told = json.loads(done.stdout.splitlines()[-1])
    return Facts(**told | {"runtimes": tuple(told["runtimes"])})
