"""Defines the results of an emulated case: counters, and the time a model makes of them.

This module needs neither torch nor TVM.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from facebench.harness.records.results import Result


@dataclass(frozen=True)
class Work:
    """It is what one inference executes, or a part of it.

    Attributes:
        instructions: executed.
        mix: instructions by kind, of `emulation.instructions.KINDS`; empty for 32-bit code.
        bytes_loaded: by all loads.
        bytes_stored: by all stores.
        misses: of each level of cache, from the core outwards.
        lines_written: back to memory, by the last level.
        issue_cycles: of a record before schema 9, for a model that is no more.
        cycles: that the core's pipeline is simulated to take, each block of code by itself;
            None in a record before schema 9, and where the core's figures are not known.
    """

    instructions: int
    mix: dict[str, int]
    bytes_loaded: int
    bytes_stored: int
    misses: tuple[int, ...]
    lines_written: int
    issue_cycles: float = 0.0
    cycles: float | None = None

    def memory_bytes(self, line_bytes: Sequence[int]) -> int:
        """Return the bytes to and from memory: what the last level of cache misses and writes back.

        Args:
            line_bytes: of each level; none where no caches were simulated.
        """
        if not self.misses:
            return 0
        return (self.misses[-1] + self.lines_written) * line_bytes[-1]


@dataclass(frozen=True)
class KernelCount:
    """It is a function of the runtime or of the compiled library, and its work."""

    name: str
    work: Work


@dataclass(frozen=True)
class Instructions(Result):
    """One inference on an emulated core: exact counts, and misses of simulated caches.

    Of this machine, by its own counter, `work` has the instructions alone.

    Attributes:
        core: whose instructions and caches were emulated; or this machine's model of CPU.
        line_bytes: of each level of cache; none where none were simulated.
        work: of the whole inference.
        kernels: the same by function, most instructions first.
        output_error: as in `Latency`.
        label: as in `Latency`.
    """

    core: str
    line_bytes: tuple[int, ...]
    work: Work
    kernels: tuple[KernelCount, ...]
    output_error: float
    label: str = ""

    @property
    def memory_bytes(self) -> int:
        """Return the bytes of memory traffic, as `Work.memory_bytes` counts them."""
        return self.work.memory_bytes(self.line_bytes)


@dataclass(frozen=True)
class Cycles(Result):
    """They are cycles that a model makes of an emulated inference on a core, never measured.

    Attributes:
        core: whose figures the model took.
        board: that these figures are of.
        frequency_hz: the core's clock.
        terms: cycles of one thread by term of the model.
        milliseconds: by number of threads; of one alone, but for a record before schema 9.
        fitted_to: what the model's constants were fitted to.
        label: as in `Latency`.
        interval_ms: the 95 % prediction interval of one thread's time; None where none is
            known, as in a record before schema 9.
        runtime: whose code was counted, with its version.
        measured_rows: figures measured on the device that correct the time.
    """

    core: str
    board: str
    frequency_hz: int
    terms: dict[str, float]
    milliseconds: dict[str, float]
    fitted_to: str
    label: str = ""
    interval_ms: tuple[float, float] | None = None
    runtime: str = ""
    measured_rows: int = 0

    @property
    def of_this_model(self) -> bool:
        """Say whether it is of the model whose error docs/model.md tells."""
        return "pipeline" in self.terms

    def sentence(self) -> str:
        """Say the time of one thread, its interval and what it rests on."""
        ms = self.milliseconds["1"]
        interval = "no interval is known"
        if self.interval_ms is not None:
            low, high = self.interval_ms
            interval = f"{low:.3g} to {high:.3g}"
        parts = [
            f"{ms:.3g} ms ({interval})",
            "modelled",
            f"{self.core} at {self.frequency_hz / 1e9:.3g} GHz",
            self.runtime,
            "1 thread",
        ]
        return ", ".join(filter(None, parts))
