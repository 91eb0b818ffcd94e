"""Who is told what while revisions are prepared and measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


def _silent(*told: object) -> None:
    pass


@dataclass(frozen=True)
class RevisionWatch:
    """Callbacks.

    Attributes:
        note: a sentence that the user should know.
        busy: what is being done this moment: a line of pip, a case that is done.
        phase: how much of a phase is done: its name, done, and of how much.
    """

    note: Callable[[str], None] = _silent
    busy: Callable[[str], None] = _silent
    phase: Callable[[str, float, int], None] = _silent
