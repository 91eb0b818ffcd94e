"""Defines the additive margin on the angle: ArcFace."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from facebench.harness.training.losses.registry import LOSSES, Cosine, Loss

# The sine's gradient is infinite where embedding and centre point the same way.
_LEAST_SQUARE = 1e-12


class ArcFace(Cosine):
    """It makes the target cos(θ + m) (arXiv 1801.07698, equation 3).

    Beyond θ = π - m the cosine of θ + m would rise again: there the target is
    cos θ - m sin m, which falls on.
    """

    def target(self, cosine: Tensor) -> Tensor:
        """Return the cosines `(B,)` of angles that are wider by the margin, in radians."""
        assert self.margin is not None
        sine = (1 - cosine.square()).clamp_min(_LEAST_SQUARE).sqrt()
        shifted = cosine * math.cos(self.margin) - sine * math.sin(self.margin)
        beyond = cosine - self.margin * math.sin(self.margin)
        return torch.where(cosine > math.cos(math.pi - self.margin), shifted, beyond)


LOSSES.add("arcface", Loss("arcface", ArcFace, 64.0, 0.5, "arXiv 1801.07698"))
