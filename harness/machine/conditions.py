"""Describes what a process that is timed found on its machine."""

from __future__ import annotations

from dataclasses import dataclass

from facebench.harness.machine.busy import Share, Wait


@dataclass(frozen=True)
class Conditions:
    """They are the conditions that one process met.

    Attributes:
        pinned: CPUs that it was kept on; empty where it was not.
        before: the wait for a quiet moment.
        during: what others took while it warmed up and was sampled; None where it cannot be read.
    """

    pinned: tuple[int, ...]
    before: Wait
    during: Share | None
