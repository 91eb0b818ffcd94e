"""Builds one of DeepID2+'s networks (arXiv 1412.1265), of which it has 25 for parts of a face.

Kernels are those of DeepID2 (arXiv 1406.4773, figure 1), which its publication enlarges: each
convolution has 128 channels and the embedding 512 values. Weights of the third convolution are
shared in squares of 2x2 places, those of the fourth by none. What is learned beside each layer
for training alone is left out.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from facebench.architectures.locally_connected import LocallyConnected
from facebench.architectures.registry import Published, register

INPUT_SIZE = (55, 47)
EMBEDDING_SIZE = 512
WIDTH = 128


class DeepID2Plus(nn.Module):
    """It reads its embedding from the third convolution's pooled map and from the fourth's."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Sequential(
            *[nn.Conv2d(3, WIDTH, 4), nn.ReLU(), nn.MaxPool2d(2)],
            *[nn.Conv2d(WIDTH, WIDTH, 3), nn.ReLU(), nn.MaxPool2d(2)],
            *[LocallyConnected(WIDTH, WIDTH, 3, (12, 10), shared=2), nn.ReLU(), nn.MaxPool2d(2)],
        )
        self.local = nn.Sequential(LocallyConnected(WIDTH, WIDTH, 2, (5, 4)), nn.ReLU())
        self.embed = nn.Linear(WIDTH * (5 * 4 + 4 * 3), EMBEDDING_SIZE)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, 3, 55, 47)` to `(N, 512)`."""
        third = self.shared(x)
        embedded: Tensor = self.embed(
            torch.cat([third.flatten(1), self.local(third).flatten(1)], 1)
        )
        return embedded


@register(
    "deepid2_plus",
    input_size=INPUT_SIZE,
    embedding_size=EMBEDDING_SIZE,
    reference="arXiv 1412.1265",
    note="one of 25 networks; kernels are DeepID2's; the embedding is before its ReLU",
    large=True,
    published=Published(
        parameters="",
        source="arXiv 1412.1265, section 3, and 1406.4773, figure 1: kernels, channels and values",
        input_size=INPUT_SIZE,
    ),
)
def _deepid2_plus() -> nn.Module:
    return DeepID2Plus()
