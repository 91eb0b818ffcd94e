"""Gives the cycles that a block of code takes on a core, in the middle of many executions of it."""

from __future__ import annotations

from functools import cache

from facebench.harness.devices.emulator.pipeline.decode import decode
from facebench.harness.devices.emulator.pipeline.in_order import InOrderCore
from facebench.harness.devices.emulator.pipeline.out_of_order import OutOfOrderCore
from facebench.harness.machine.cores import Figures

# Executions before the first that is looked at, and those that are: pipelines have widths
# of two, three and four, so that a row of twelve ends as it began.
_WARM, _OBSERVED = 6, 12


class Simulator:
    """It simulates blocks on one core, each once."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._known: dict[bytes, float] = {}

    def cycles(self, code: bytes) -> float:
        """Return the cycles of one execution of a block of A64 code.

        The block is followed by itself, as in a loop; its data are in the first level of cache.
        """
        if code not in self._known:
            self._known[code] = self._simulate(code)
        return self._known[code]

    def _simulate(self, code: bytes) -> float:
        operations = decode(code)
        core = (InOrderCore if self._figures.in_order else OutOfOrderCore)(self._figures)
        for _ in range(_WARM):
            before = core.run(operations)
        for _ in range(_OBSERVED):
            after = core.run(operations)
        return (after - before) / _OBSERVED


@cache
def simulator(figures: Figures) -> Simulator:
    """Return the simulator of a core, which remembers the blocks it has simulated."""
    return Simulator(figures)
