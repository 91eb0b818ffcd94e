"""Holds what a process that infers took beside time: memory, energy and its start."""

from __future__ import annotations

from dataclasses import dataclass

from facebench.harness.machine.energy import Energy
from facebench.harness.machine.memory import Memory


@dataclass(frozen=True)
class Footprint:
    """It is the footprint of one process; what its device does not tell is None.

    Attributes:
        import_ms: of importing the runtime's package; None also where it was there already.
        open_ms: from the artifact on disk to a session that can infer, that import not included.
        first_ms: the first inference after the artifact was opened, by the wall.
        memory: peaks of its resident memory.
        energy: that the machine took while it sampled.
    """

    import_ms: float | None = None
    open_ms: float | None = None
    first_ms: float | None = None
    memory: Memory | None = None
    energy: Energy | None = None
