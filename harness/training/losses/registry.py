"""Holds what classification losses share, and their registry.

A loss has one centre a person and turns the products of embeddings and centres
into logits; softmax cross-entropy does the rest. Losses differ in how they
change the logit of the right person. A loss is one file in this package.

With several processes each has a share of the centres, and every logit exists
on one process alone: the cross-entropy is formed from sums over all (so that
85,000 people and more fit on small cards), and is exact, no sample of centres.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facebench.architectures.registry import Registry
from facebench.harness.training.ranks import ALONE, Ranks


class Classification(nn.Module):
    """It is cross-entropy over people; the base of all losses.

    Attributes:
        centres: `(C, D)`, or this process's rows of it.
        scale: s of the loss's paper; None where the loss does without.
        margin: m of the loss's paper; None where it has none.

    Args:
        size: D, elements of an embedding.
        classes: C, people.
        ranks: the processes that share the centres.
    """

    def __init__(
        self,
        size: int,
        classes: int,
        scale: float | None = None,
        margin: float | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        super().__init__()
        self.classes, self.scale, self.margin = classes, scale, margin
        self._ranks, self._share = ranks, ranks.share(classes)
        # All are drawn, so that the same seed gives the same ones to any number of processes.
        self.centres = nn.Parameter(0.01 * torch.randn(classes, size)[self._share])

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the mean loss of a batch.

        Args:
            embeddings: `(B, D)`, as the network gives them: not normalized.
            labels: `(B,)`, 0 to C - 1.

        Returns:
            A scalar, over the batches of all processes, the same on each.
        """
        with torch.autocast(embeddings.device.type, enabled=False):
            everyone = self._ranks.gather(embeddings.to(self.centres.dtype))
            targets = self._targets(self._ranks.gather(labels))
            return cross_entropy(self.logits(everyone, targets), targets, self._ranks)

    def logits(self, embeddings: Tensor, targets: Tensor) -> Tensor:
        """Return logits `(B, C)` with the right person's changed.

        Args:
            embeddings: `(B, D)`.
            targets: `(B,)`; the column of the right person, -1 where another process has it.
        """
        raise NotImplementedError

    def _targets(self, labels: Tensor) -> Tensor:
        here = (labels >= self._share.start) & (labels < self._share.stop)
        return torch.where(here, labels - self._share.start, -1)


class Cosine(Classification):
    """It holds losses on the cosine of embedding and centre: `scale * cosine`, the right one
    changed.
    """

    def logits(self, embeddings: Tensor, targets: Tensor) -> Tensor:
        """Return logits `(B, C)` of embeddings `(B, D)`, as `Classification` defines them."""
        assert self.scale is not None
        return self.scale * with_targets(cosines(embeddings, self.centres), targets, self.target)

    def target(self, cosine: Tensor) -> Tensor:
        """Return what replaces the cosines `(B,)` to the right persons' centres."""
        raise NotImplementedError


def cosines(embeddings: Tensor, centres: Tensor) -> Tensor:
    """Return cosines `(B, C)` of embeddings `(B, D)` and centres `(C, D)`."""
    return F.linear(F.normalize(embeddings), F.normalize(centres))


def with_targets(values: Tensor, targets: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Return `values` `(B, C)`, with each row's element at `targets` `(B,)` changed; none at -1."""
    columns = targets.clamp_min(0)[:, None]
    before = values.gather(1, columns)
    after = torch.where(targets[:, None] >= 0, change(before[:, 0])[:, None], before)
    return values.scatter(1, columns, after)


def cross_entropy(logits: Tensor, targets: Tensor, ranks: Ranks) -> Tensor:
    """Return the mean cross-entropy of logits whose columns are shared out to processes.

    Args:
        logits: `(B, C)`, this process's columns, the same B on each.
        targets: `(B,)`, the right column, -1 where another process has it.
        ranks: the processes.
    """
    if ranks.world == 1:
        return F.cross_entropy(logits, targets)
    largest = ranks.largest(logits.amax(1))
    exponentials = (logits - largest[:, None]).exp().sum(1)
    own = logits.gather(1, targets.clamp_min(0)[:, None])[:, 0]
    right = torch.where(targets >= 0, own, torch.zeros_like(own))
    denominator, numerator = ranks.total(torch.stack([exponentials, right]))
    loss: Tensor = (largest + denominator.log() - numerator).mean()
    return loss


@dataclass(frozen=True)
class Loss:
    """It is an entry of the registry.

    Attributes:
        name: as recipes call it.
        make: builds it, called as `Classification` is.
        scale: s where a recipe names none; None where the loss does without one.
        margin: m where a recipe names none; None where the loss takes none.
        reference: the publication it comes from.
    """

    name: str
    make: Callable[[int, int, float | None, float | None, Ranks], Classification]
    scale: float | None
    margin: float | None
    reference: str


LOSSES: Registry[Loss] = Registry("loss", package="facebench.harness.training.losses")
