"""Defines softmax: products of embedding and centre, no margin."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facebench.harness.training.losses.registry import LOSSES, Classification, Loss, cosines
from facebench.harness.training.ranks import ALONE, Ranks


class Softmax(Classification):
    """It makes the logit x·w + b; with a scale, `scale * cosine` (NormFace, arXiv 1704.06369)."""

    def __init__(
        self,
        size: int,
        classes: int,
        scale: float | None = None,
        margin: float | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        super().__init__(size, classes, scale, margin, ranks)
        self.bias = None if scale else nn.Parameter(torch.zeros(len(self.centres)))

    def logits(self, embeddings: Tensor, targets: Tensor) -> Tensor:
        """Return logits `(B, C)` of embeddings `(B, D)`; they do not depend on `targets`."""
        if self.scale:
            return self.scale * cosines(embeddings, self.centres)
        return F.linear(embeddings, self.centres, self.bias)


LOSSES.add(
    "softmax", Loss("softmax", Softmax, scale=None, margin=None, reference="arXiv 1704.06369")
)
