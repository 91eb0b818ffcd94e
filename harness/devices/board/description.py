"""What a board says of itself, and whether it can open an artifact."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facebench.architectures.errors import RefusedError, UnavailableError
from facebench.harness.compiler import library

_MACHINES = {"EM_X86_64": "x86-64", "EM_AARCH64": "64-bit ARM", "EM_ARM": "32-bit ARM"}


@dataclass(frozen=True)
class Description:
    """What a board says of itself.

    Attributes:
        kind: what its figures are: `measured` or `emulated`.
        name: of the emulated core; empty for a real one.
        target: what to compile for; empty where it is not known.
        machine: ELF name of the architecture that its libraries are for; empty where
            it is not known.
        runtimes: names of those that it can open.
        cores: CPU cores that a runtime may use; 0 where it is not known.
        identity: hash of what makes its figures comparable.
        environment: as `machine.environment.capture` says it.
    """

    kind: str
    name: str
    target: str
    machine: str
    runtimes: tuple[str, ...]
    cores: int
    identity: str
    environment: dict[str, Any]


def require(name: str, board: Description, runtime: str, artifact: Path) -> None:
    """See that a board can open an artifact.

    Raises:
        UnavailableError: it lacks the runtime.
        RefusedError: the artifact is for another CPU.
    """
    if runtime not in board.runtimes:
        raise UnavailableError(
            f"board {name} does not have runtime {runtime} (it has "
            f"{', '.join(board.runtimes)}): install it there, or choose another"
        )
    compiled = artifact / "network.so"
    if not compiled.exists() or not board.machine:
        return
    machine = library.machine(compiled)
    if machine != board.machine:
        raise RefusedError(
            f"{compiled} is for {_word(machine)} and board {name} is {_word(board.machine)}: "
            "compile for the board's CPU with --target"
        )


def _word(machine: str) -> str:
    return _MACHINES.get(machine, machine)
