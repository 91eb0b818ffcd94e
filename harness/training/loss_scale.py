"""A factor on the loss that keeps gradients in half precision's range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from facebench.harness.training.ranks import Ranks

_FIRST = 2.0**16
# Steps without an overflow after which the factor is doubled, as torch's GradScaler does.
_PATIENCE = 2000


class LossScale:
    """Multiplies losses; halves after an overflow, doubles after 2,000 steps without.

    Torch's own looks at each process's gradients alone; here one process's
    overflow holds for all, so that centres and network stay in step.

    Args:
        used: whether the arithmetic needs it; otherwise the factor stays 1.
    """

    def __init__(self, used: bool) -> None:
        self.used = used
        self.factor = _FIRST if used else 1.0
        self.clean_steps = 0

    def settle(self, parameters: Sequence[nn.Parameter], ranks: Ranks) -> bool:
        """Divide gradients by the factor, and adjust it.

        Returns:
            Whether they are finite, so that a step may be made.
        """
        if not self.used:
            return True
        gradients = [p.grad for p in parameters if p.grad is not None]
        torch._foreach_div_(gradients, self.factor)
        overflow = torch.stack([~g.isfinite().all() for g in gradients]).any().float()
        if ranks.largest(overflow).item():
            self.factor, self.clean_steps = max(self.factor / 2, 1.0), 0
            return False
        self.clean_steps += 1
        if self.clean_steps == _PATIENCE:
            self.factor, self.clean_steps = self.factor * 2, 0
        return True

    def facts(self) -> dict[str, Any]:
        """Return its state, for a checkpoint."""
        return {"factor": self.factor, "clean_steps": self.clean_steps}

    def restore(self, facts: dict[str, Any]) -> None:
        """Go on from `facts`."""
        self.factor, self.clean_steps = facts["factor"], facts["clean_steps"]
