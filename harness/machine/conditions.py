"""What a process that is timed found on its machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from facebench.harness.machine.busy import Share, Wait


@dataclass(frozen=True)
class Conditions:
    """Of one process.

    Attributes:
        pinned: CPUs that it was kept on; empty where it was not.
        before: the wait for a quiet moment.
        during: what others took while it warmed up and was sampled; None where it cannot be read.
    """

    pinned: tuple[int, ...]
    before: Wait
    during: Share | None

    @staticmethod
    def from_json(data: dict[str, Any]) -> Conditions:
        """The conditions that `dataclasses.asdict` made plain."""
        before = data["before"]
        wait = Wait(**before | {"share": _share(before["share"])})
        return Conditions(tuple(data["pinned"]), wait, _share(data["during"]))


def _share(data: dict[str, Any] | None) -> Share | None:
    return None if data is None else Share(**data)
