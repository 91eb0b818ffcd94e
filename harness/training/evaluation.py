"""Verification while a network trains: the protocol of `verify`, in torch, nothing kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from facebench.architectures.errors import BadInputError
from facebench.architectures.registry import Architecture
from facebench.harness.machine.environment import cores
from facebench.harness.records.accuracy import Accuracy
from facebench.harness.verification import preparation
from facebench.harness.verification.crops import cut
from facebench.harness.verification.datasets.registry import DATASETS, data_root
from facebench.harness.verification.embedding import CHUNK, Embeddings, preprocess
from facebench.harness.verification.faces import PairSet
from facebench.harness.verification.protocol import score, verify
from facebench.harness.verification.summary import summarise

_BATCH = 64
# From network inputs (B, 3, H, W) to embeddings (B, E).
_Infer = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Evaluation:
    """A dataset of pairs that networks are scored on while they train.

    Attributes:
        name: of the dataset.
        faces: its pairs; every image has landmarks.
    """

    name: str
    faces: PairSet

    def score(self, network: nn.Module, architecture: Architecture) -> Accuracy:
        """Score a network: embeddings of each image and of its mirror, added.

        Args:
            network: on any device; left in the mode and on the device that it is in.
            architecture: its input size and preprocessing.

        Raises:
            BadInputError: an image can't be read or aligned.
        """
        training = network.training
        try:
            with torch.inference_mode():
                embeddings = self._embeddings(network.eval(), architecture)
        finally:
            network.train(training)
        if not np.isfinite(embeddings).all() or not embeddings.any(axis=1).all():
            raise BadInputError(
                f"an embedding of {self.name} is zero or not finite: the network has not learned"
            )
        scores = score(self.faces, self.faces.keys, embeddings)
        return verify(scores, self.faces.label, "sum", images_per_second=0.0)

    def _embeddings(self, network: nn.Module, architecture: Architecture) -> Embeddings:
        device = next(network.parameters()).device
        blocks = []
        for start in range(0, len(self.faces.keys), CHUNK):
            keys = self.faces.keys[start : start + CHUNK]
            pictures = cut(self.faces, keys, architecture.input_size, cores(), keep=True).pictures
            for first in range(0, len(keys), _BATCH):
                inputs = preprocess(
                    list(pictures[first : first + _BATCH]), architecture.preprocessing
                )
                images = torch.from_numpy(inputs).to(device)
                blocks.append((network(images) + network(images.flip(3))).float().cpu().numpy())
        return np.concatenate(blocks)


def evaluation_on(name: str, data: Path | None) -> Evaluation:
    """Open a dataset for scoring.

    Raises:
        UnknownNameError: there is no such dataset.
        BadInputError: it is not found, or is one that is searched, not compared in pairs.
    """
    opened = DATASETS[name].open(data_root(data))
    if not isinstance(opened, PairSet):
        raise BadInputError(f"{name} has probes and distractors, no pairs: name another dataset")
    settled = preparation.settle(preparation.locate(opened, "file"), "refuse")
    return Evaluation(name, settled.faces)


def figures(accuracy: Accuracy) -> dict[str, Any]:
    """Return what a model card says of a score: each figure, 0 to 1, with its 95 % interval."""
    assert accuracy.scores is not None
    summary = summarise(accuracy.scores)
    return {
        "accuracy": accuracy.accuracy,
        "standard_error": accuracy.standard_error,
        "folds": len(accuracy.fold_accuracies),
        "pairs": accuracy.pairs,
        "label": accuracy.label,
        "tar": {
            f"{rate.point.rate:g}": {
                "tar": rate.point.true_rate,
                "interval": rate.tar.interval,
            }
            for rate in summary.tar
        },
        "eer": summary.eer.value,
        "eer_interval": summary.eer.interval,
        "auc": summary.auc.value,
    }
