"""Gives the three terms of the model, each in seconds of one thread and without its constant."""

from __future__ import annotations

from dataclasses import dataclass

from facebench.harness.machine.cores import Figures


@dataclass(frozen=True)
class Terms:
    """They are seconds.

    Attributes:
        pipeline: the simulated cycles of all blocks of code.
        l1_misses: each miss of the first level waits for the second.
        memory: bytes to and from memory, at the bandwidth of a copy.
    """

    pipeline: float
    l1_misses: float
    memory: float

    @classmethod
    def of(cls, cycles: float, l1_misses: float, memory_bytes: float, figures: Figures) -> Terms:
        """Return the terms of counts on a core with these figures."""
        return cls(
            cycles / figures.frequency_hz,
            l1_misses * figures.l2.latency_cycles / figures.frequency_hz,
            memory_bytes / figures.dram_bandwidth_bytes_s,
        )

    def as_row(self) -> tuple[float, float, float]:
        """Return them in the order of the constants."""
        return (self.pipeline, self.l1_misses, self.memory)
