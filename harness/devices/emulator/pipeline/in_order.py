"""Simulates a core that issues instructions in program order, some of them side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence

from facebench.harness.devices.emulator.pipeline.operations import Kind, Operation
from facebench.harness.devices.emulator.pipeline.registers import Registers
from facebench.harness.machine.cores import Figures

_VECTORS = frozenset({Kind.FMA, Kind.VECTOR, Kind.DIVIDE})
_MEMORY = frozenset({Kind.LOAD, Kind.STORE, Kind.VECTOR_LOAD, Kind.VECTOR_STORE, Kind.PREFETCH})


class InOrderCore:
    """It issues up to `decode_width` instructions a cycle; whoever waits keeps all others waiting.

    There is a unit for vectors and one for memory. A vector load that issues alone takes
    both.
    """

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        # Figures of such a core have both.
        self._lone = figures.lone_vector_load_bytes or 0
        self._narrow = figures.narrow_vectors_per_cycle or 1.0
        self._registers = Registers(figures)
        self._now = 0
        self._issued = 0
        self._vectors_free = 0.0
        self._memory_free = 0.0

    def run(self, operations: Sequence[Operation]) -> float:
        """Execute operations once more; return the cycle in which the last one has begun and its
        units are free.
        """
        for operation in operations:
            self._issue(operation)
        return max(self._now + 1, self._vectors_free, self._memory_free)

    def _issue(self, operation: Operation) -> None:
        start = self._registers.ready(operation, self._now)
        if operation.kind in _VECTORS:
            start = max(start, self._vectors_free)
        if operation.kind in _MEMORY:
            start = max(start, self._memory_free)
        if self._alone(operation):
            start = max(start, self._vectors_free)
        self._advance(math.ceil(start))
        self._occupy(operation)
        self._registers.write(operation, self._now, self._now)

    def _alone(self, operation: Operation) -> bool:
        return operation.kind is Kind.VECTOR_LOAD and operation.size >= self._lone

    def _advance(self, cycle: int) -> None:
        if cycle > self._now:
            self._now, self._issued = cycle, 0
        if self._issued >= self._figures.decode_width:
            self._now, self._issued = self._now + 1, 0
        self._issued += 1

    def _occupy(self, operation: Operation) -> None:
        figures, now = self._figures, self._now
        half = operation.size < 16
        match operation.kind:
            case Kind.FMA | Kind.VECTOR:
                fma = operation.kind is Kind.FMA
                rate = figures.fmas_per_cycle if fma else figures.vector_operations_per_cycle
                self._vectors_free = now + 1 / (rate * (self._narrow if half else 1))
            case Kind.DIVIDE:
                self._vectors_free = now + figures.division_cycles
            case Kind.VECTOR_LOAD:
                alone = self._alone(operation)
                taken = operation.transfers / figures.loads_per_cycle * (0.5 if half else 1)
                self._memory_free = now + max(taken, 1.0 if alone else 0.5)
                if alone:
                    self._vectors_free = max(self._vectors_free, self._memory_free)
            case Kind.VECTOR_STORE:
                each = max(1.0, (0.5 if half else 1) / figures.stores_per_cycle)
                self._memory_free = now + operation.transfers * each
            case Kind.LOAD | Kind.STORE | Kind.PREFETCH:
                self._memory_free = now + 1 / figures.memory_operations_per_cycle
            case _:
                pass
