"""Simulates a core that executes whatever is ready of a window of instructions."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from facebench.harness.devices.emulator.pipeline.operations import Kind, Operation
from facebench.harness.devices.emulator.pipeline.registers import Registers
from facebench.harness.machine.cores import Figures

# A unit's capacity and what an operation takes of it are counted in halves of 128 bits.
_WHOLE = 2


class _Unit:
    """It does so much each cycle, for whoever comes first in program order."""

    def __init__(self, per_cycle: float) -> None:
        self.capacity = max(1, round(per_cycle * _WHOLE))
        self._taken: dict[int, int] = {}

    def take(self, earliest: float, need: int) -> int:
        """Return the first cycle from `earliest` on with room for `need` halves, and take it.

        What needs more than a cycle has takes cycles that are next to each other whole.
        """
        cycle, taken = math.ceil(earliest), self._taken
        if need <= self.capacity:
            while taken.get(cycle, 0) + need > self.capacity:
                cycle += 1
            taken[cycle] = taken.get(cycle, 0) + need
            return cycle
        length = -(-need // self.capacity)
        while any(taken.get(cycle + after) for after in range(length)):
            cycle += 1
        for after in range(length):
            taken[cycle + after] = self.capacity
        return cycle


class OutOfOrderCore:
    """It takes instructions into a window in program order; each starts when what it reads is there
    and its unit has room, and leaves when all before it have left.
    """

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._registers = Registers(figures)
        # Figures of such a core have both.
        self._size, self._split = figures.window or 1, figures.micro_operations_per_vector or 1
        self._entered = 0.0
        self._left = 0.0
        self._window: deque[float] = deque(maxlen=self._size)
        self._fma = _Unit(figures.fmas_per_cycle)
        # Where one pipe of several multiplies and adds, the others do the rest.
        wider = figures.vector_operations_per_cycle > figures.fmas_per_cycle
        self._vectors = _Unit(figures.vector_operations_per_cycle) if wider else self._fma
        self._loads = _Unit(figures.loads_per_cycle)
        self._stores = _Unit(figures.stores_per_cycle)
        self._memory = _Unit(figures.memory_operations_per_cycle)
        self._integers = _Unit(figures.integer_operations_per_cycle)
        self._branches = _Unit(1)

    def run(self, operations: Sequence[Operation]) -> float:
        """Execute operations once more; return the cycle in which the last one leaves."""
        for operation in operations:
            self._execute(operation)
        return self._left

    def _execute(self, operation: Operation) -> None:
        self._entered += self._micro_operations(operation) / self._figures.decode_width
        if len(self._window) == self._size:
            self._entered = max(self._entered, self._window[0])
        ready = self._registers.ready(operation, self._entered)
        start = self._start(operation, ready)
        done = self._registers.write(operation, start, self._entered)
        self._left = max(self._left, done)
        self._window.append(self._left)

    def _micro_operations(self, operation: Operation) -> int:
        if operation.kind in (Kind.FMA, Kind.VECTOR) and operation.size == 16:
            return self._split
        return max(1, operation.transfers)

    def _start(self, operation: Operation, ready: float) -> float:
        """Return the cycle in which an operation starts, once its units are taken."""
        need = _WHOLE if operation.size == 16 else 1
        start = ready
        match operation.kind:
            case Kind.NOP:
                pass
            case Kind.FMA:
                start = self._fma.take(ready, need)
                if self._vectors is not self._fma:
                    self._vectors.take(start, need)
            case Kind.VECTOR | Kind.INSERT:
                start = self._vectors.take(ready, need)
            case Kind.DIVIDE:
                start = self._fma.take(ready, self._fma.capacity * self._figures.division_cycles)
            case Kind.LOAD | Kind.VECTOR_LOAD | Kind.PREFETCH:
                for _ in range(operation.transfers):
                    start = self._loads.take(ready, _WHOLE)
                    self._memory.take(start, _WHOLE)
            case Kind.STORE | Kind.VECTOR_STORE:
                for _ in range(operation.transfers):
                    start = self._stores.take(ready, need)
                    self._memory.take(start, _WHOLE)
            case Kind.BRANCH:
                start = self._branches.take(ready, _WHOLE)
            case _:
                start = self._integers.take(ready, _WHOLE)
        return start
