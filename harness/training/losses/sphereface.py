"""Defines the multiplicative margin on the angle: SphereFace, or A-Softmax."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from facebench.harness.training.losses.registry import (
    LOSSES,
    Classification,
    Loss,
    cosines,
    with_targets,
)
from facebench.harness.training.ranks import ALONE, Ranks

# As SphereFace's published training does: from 1000 down to 5, by 1 / (1 + 0.12 t).
_FIRST_LAMBDA = 1000.0
_LAST_LAMBDA = 5.0
_DECAY = 0.12


class SphereFace(Classification):
    """It makes the target (λ cos θ + ψ(θ)) / (1 + λ), times the embedding's length, or the scale
    if given.

    ψ(θ) = (-1)^k cos(mθ) - 2k for θ in [kπ/m, (k+1)π/m], which falls from 1 to
    1 - 2m (arXiv 1704.08063, section 3.2). With ψ alone training does not start,
    so λ is annealed over iterations t: max(5, 1000 / (1 + 0.12 t)).
    """

    iteration: Tensor

    def __init__(
        self,
        size: int,
        classes: int,
        scale: float | None = None,
        margin: float | None = 4,
        ranks: Ranks = ALONE,
    ) -> None:
        super().__init__(size, classes, scale, margin, ranks)
        self.register_buffer("iteration", torch.zeros((), dtype=torch.int64))

    @property
    def annealing(self) -> Tensor:
        """Return λ at this iteration, a scalar, 1000 at first and 5 at last."""
        return (_FIRST_LAMBDA / (1 + _DECAY * self.iteration)).clamp_min(_LAST_LAMBDA)

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the loss, a scalar; in training mode a call is an iteration."""
        loss = super().forward(embeddings, labels)
        if self.training:
            self.iteration += 1
        return loss

    def logits(self, embeddings: Tensor, targets: Tensor) -> Tensor:
        """Return logits `(B, C)` of embeddings `(B, D)`, as `Classification` defines them."""
        changed = with_targets(cosines(embeddings, self.centres), targets, self._target)
        return changed * (self.scale or embeddings.norm(dim=1, keepdim=True))

    def _target(self, cosine: Tensor) -> Tensor:
        assert self.margin is not None
        mixed = self.annealing.to(cosine.dtype)
        return (mixed * cosine + psi(cosine, int(self.margin))) / (1 + mixed)


def psi(cosine: Tensor, margin: int) -> Tensor:
    """Return ψ(θ), 1 - 2m to 1, of cosines of any shape; the margin m is whole, 1 or more."""
    angle = cosine.detach().clamp(-1, 1).acos()
    k = (angle * margin / math.pi).floor().clamp_max(margin - 1)
    # cos(mθ) by Chebyshev's recurrence: the arc cosine's gradient is infinite at the ends.
    previous, current = torch.ones_like(cosine), cosine
    for _ in range(margin - 1):
        previous, current = current, 2 * cosine * current - previous
    return (1 - 2 * (k % 2)) * current - 2 * k


LOSSES.add("sphereface", Loss("sphereface", SphereFace, None, 4, "arXiv 1704.08063"))
