"""Measures what this machine's cores reach at best: multiply-adds and bytes a second.

Loops that do nothing else are repeated for a few milliseconds each, in a process of
their own that has ended before a runtime is opened. The fastest repetition counts:
whatever else happens on a machine only slows them.
"""

from __future__ import annotations

import json
import subprocess
from typing import Any

from facebench.architectures.errors import UnavailableError
from facebench.harness.machine.processes import python_module
from facebench.harness.records.peak import Peak

# It takes half a second, and two where the loops must be compiled.
_TIMEOUT_S = 60.0


def measure(threads: int) -> Peak:
    """Measure the peak of so many threads, on a machine that does nothing else.

    Raises:
        UnavailableError: it cannot be had here, for example without TVM.
    """
    command = python_module("facebench.harness.timing.peak_worker", str(threads))
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(
            f"the core's peak was not known after {_TIMEOUT_S:.0f} s: the machine is too busy"
        ) from error
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise UnavailableError(f"the core's peak could not be measured: {last[0]}")
    said = json.loads(done.stdout)
    found: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in said.items()}
    return Peak(**found)
