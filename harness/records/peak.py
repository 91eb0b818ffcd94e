"""Defines what a machine's cores reach at best, for the latencies measured on it."""

from __future__ import annotations

from dataclasses import dataclass

# Where the provenance of a record says why it has no peak.
NO_PEAK = "no_peak"


@dataclass(frozen=True)
class Peak:
    """It holds rates of all threads of a case together, one figure a repetition.

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
