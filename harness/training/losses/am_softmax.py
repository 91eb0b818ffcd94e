"""Additive margin on the cosine: AM-Softmax, and CosFace, which is the same with another scale."""

from __future__ import annotations

from torch import Tensor

from facebench.harness.training.losses.registry import LOSSES, Cosine, Loss


class AdditiveMarginSoftmax(Cosine):
    """It makes the target cos θ - m (arXiv 1801.05599, equation 6; arXiv 1801.09414, equation
    4).
    """

    def target(self, cosine: Tensor) -> Tensor:
        """Return the cosines `(B,)` less the margin."""
        assert self.margin is not None
        return cosine - self.margin


LOSSES.add("am_softmax", Loss("am_softmax", AdditiveMarginSoftmax, 30.0, 0.35, "arXiv 1801.05599"))
LOSSES.add("cosface", Loss("cosface", AdditiveMarginSoftmax, 64.0, 0.35, "arXiv 1801.09414"))
