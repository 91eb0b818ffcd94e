"""Defines what is trained: a network, from 8-bit images on, and what maps it to its teacher."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from facebench.architectures.errors import BadInputError
from facebench.architectures.registry import Architecture, Preprocessing


class Student(nn.Module):
    """A network that takes pixels.

    Attributes:
        network: from images `(N, 3, H, W)` to embeddings `(N, D)`.
        projection: from its embeddings to the teacher's `(N, E)`: linear and learned where
            D is not E, else nothing; thrown away after training.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self, network: nn.Module, architecture: Architecture, teacher_size: int | None
    ) -> None:
        super().__init__()
        self.network = network
        size = architecture.embedding_size
        same = teacher_size in (None, size)
        self.projection = nn.Identity() if same else nn.Linear(size, teacher_size or size)
        expects = architecture.preprocessing
        self._order = ["RGB".index(channel) for channel in expects.channels]
        self.register_buffer("mean", _by_channel(expects, "mean"), persistent=False)
        self.register_buffer("scale", _by_channel(expects, "scale"), persistent=False)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return embeddings `(N, D)` and projected ones `(N, E)` of pixels `(N, 3, H, W)`, uint8,
        RGB.
        """
        if self._order != [0, 1, 2]:
            pixels = pixels[:, self._order]
        embeddings = self.network((pixels.float() - self.mean) / self.scale)
        return embeddings, self.projection(embeddings)


def build(architecture: Architecture, seed: int) -> nn.Module:
    """Return the untrained network, as its own code initialises it, the same for the same seed.

    Raises:
        BadInputError: its embeddings are not of the size that it is registered with.
    """
    torch.manual_seed(seed)
    network = architecture.build().eval()
    with torch.no_grad():
        made = network(torch.zeros(1, 3, *architecture.input_size))
    if made.shape != (1, architecture.embedding_size):
        raise BadInputError(
            f"{architecture.name} maps one image to a tensor of {tuple(made.shape)}, and not to "
            f"(1, {architecture.embedding_size}): register it with its own embedding_size"
        )
    return network.train()


def _by_channel(expects: Preprocessing, name: str) -> Tensor:
    return torch.tensor(getattr(expects, name), dtype=torch.float32).view(1, 3, 1, 1)
