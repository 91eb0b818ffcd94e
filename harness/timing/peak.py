"""What this machine's cores reach at best: multiply-adds and bytes a second.

Loops that do nothing else are repeated for a few milliseconds each, in a process of
their own that has ended before a runtime is opened. The fastest repetition counts:
whatever else happens on a machine only slows them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from architectures.errors import UnavailableError

# Where the provenance of a record says why it has no peak.
NO_PEAK = "no_peak"

# It takes half a second, and two where the loops must be compiled.
_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Peak:
    """Rates of all threads of a case together, one figure a repetition.

    Attributes:
        shape: of the fastest loop: lanes of a vector, and vectors in flight.
        multiply_adds_per_s: fp32, on numbers that never leave the registers.
        memory_bytes_per_s: read from a buffer that is larger than the last level of cache.
        memory_buffer_bytes: its size.
        cache_bytes_per_s: read from buffers that fit the second level of cache; empty where
            its size is not known.
        cache_buffer_bytes: the size of each thread's.
    """

    shape: str
    multiply_adds_per_s: tuple[float, ...]
    memory_bytes_per_s: tuple[float, ...]
    memory_buffer_bytes: int
    cache_bytes_per_s: tuple[float, ...] = ()
    cache_buffer_bytes: int = 0


def measure(threads: int) -> Peak:
    """Measure the peak of so many threads, on a machine that does nothing else.

    Raises:
        UnavailableError: it cannot be had here, for example without TVM.
    """
    command = [sys.executable, "-P", "-m", "harness.timing.peak_worker", str(threads)]
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
