"""Keeps when the results of a simulated block are there."""

from __future__ import annotations

from facebench.harness.devices.emulator.pipeline.operations import Kind, Operation
from facebench.harness.machine.cores import Figures

# The same on all cores described (Arm's Software Optimization Guides): simple integers in
# one cycle, products of integers in three; a stored value is waited for by nobody here.
_FIXED = {
    Kind.INTEGER: 1,
    Kind.MULTIPLY: 3,
    Kind.BRANCH: 1,
    Kind.STORE: 1,
    Kind.VECTOR_STORE: 1,
    Kind.PREFETCH: 0,
    Kind.NOP: 0,
}


def latencies(figures: Figures) -> dict[Kind, int]:
    """Return cycles from an operation's start to a use of its result, by kind."""
    return _FIXED | {
        Kind.FMA: figures.fma_latency_cycles,
        Kind.VECTOR: figures.vector_latency_cycles,
        Kind.INSERT: figures.vector_latency_cycles,
        Kind.DIVIDE: figures.division_cycles + figures.vector_latency_cycles,
        Kind.VECTOR_LOAD: figures.vector_load_latency_cycles,
        Kind.LOAD: figures.l1d.latency_cycles,
    }


class Registers:
    """It holds the cycle in which each register can be read.

    A sum is there earlier for a multiply-add that adds to it than for any other use.
    """

    def __init__(self, figures: Figures) -> None:
        self._latencies = latencies(figures)
        self._accumulate = figures.fma_accumulate_cycles
        self._ready: dict[int, float] = {}
        self._addend: dict[int, float] = {}

    def ready(self, operation: Operation, earliest: float) -> float:
        """Return the cycle from `earliest` on in which all that an operation reads is there."""
        at = earliest
        for register in operation.reads:
            at = max(at, self._ready.get(register, 0))
        if operation.accumulator is not None:
            at = max(at, self._addend.get(operation.accumulator, 0))
        return at

    def write(self, operation: Operation, start: float, address: float) -> float:
        """Note what an operation writes that starts in a cycle.

        Args:
            operation: that starts.
            start: the cycle in which it does.
            address: the cycle in which its address is there, for one that it moves on.

        Returns:
            The cycle in which it is done.
        """
        done = start + self._latencies[operation.kind]
        sum_done = start + self._accumulate if operation.kind is Kind.FMA else done
        for register in operation.writes:
            self._ready[register] = done
            self._addend[register] = sum_done
        if operation.base is not None:
            self._ready[operation.base] = self._addend[operation.base] = (
                max(address, self._ready.get(operation.base, 0)) + 1
            )
        return done
