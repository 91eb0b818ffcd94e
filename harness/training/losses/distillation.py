"""Defines distillation: a student's embedding follows a teacher's.

The paper names knowledge distillation (its references 16 and 17) as the other
way to an accurate small network: G. Hinton, O. Vinyals, J. Dean, "Distilling the
Knowledge in a Neural Network", arXiv 1503.02531; P. Luo et al., "Face Model
Compression by Distilling Knowledge from Neurons", AAAI 2016, whose student
(MobileID) regresses the teacher's last hidden layer instead of its softened
classes. So it is here: identities, and labels, are not needed.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def distillation(embeddings: Tensor, targets: Tensor) -> Tensor:
    """Return the mean of 1 - cosine, which is half the squared distance of the unit vectors.

    Args:
        embeddings: `(B, E)`, the student's, or what a projection makes of them.
        targets: `(B, E)`, the teacher's, of the same images.
    """
    with torch.autocast(embeddings.device.type, enabled=False):
        return (1 - F.cosine_similarity(embeddings.to(targets.dtype), targets)).mean()
