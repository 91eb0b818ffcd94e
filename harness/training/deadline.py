"""A time at which a training stops, to go on another time."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch

from facebench.harness.training.ranks import Ranks


class TimeIsUpError(Exception):
    """Training stopped where it can go on."""


@dataclass(frozen=True)
class Deadline:
    """It is a time for all processes of a run.

    Attributes:
        at: when, as `time.monotonic` tells it.
    """

    at: float = math.inf

    def over(self, ranks: Ranks) -> bool:
        """Say whether it has come for any process; all of them ask, and get the same answer."""
        late = float(time.monotonic() > self.at)
        return bool(ranks.largest(torch.tensor(late, device=ranks.device)).item())


NEVER = Deadline()


def in_minutes(minutes: float | None) -> Deadline:
    """Return the time in so many minutes; None for never."""
    return NEVER if minutes is None else Deadline(time.monotonic() + 60 * minutes)
