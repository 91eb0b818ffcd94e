"""Builds FaceNet's NN2 (arXiv 1503.03832, table 2), an Inception network.

The publication does not give the constants of its local response normalization, which is left
out, nor of L2 pooling, which is taken as the root of the mean square of 3x3 places. The
embedding's own normalization is left to whoever compares embeddings.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from facebench.architectures.registry import Published, register

INPUT_SIZE = (224, 224)
EMBEDDING_SIZE = 128
# Keeps the root's gradient finite where a map is all zeros.
TINY = 1e-6


@dataclass(frozen=True)
class Branches:
    """It is a row of the table: channels of each branch of an Inception module.

    Attributes:
        one: of the 1x1 convolution; 0 where there is none.
        three: of the 3x3 convolution, and of the 1x1 one before it.
        five: of the 5x5 convolution, likewise.
        pooled: of the 1x1 convolution after pooling; 0 where what was pooled is left as it is.
        stride: of the last layer of each branch.
        l2: whether pooling is of squares rather than by maximum.
    """

    one: int
    three: tuple[int, int]
    five: tuple[int, int]
    pooled: int
    stride: int = 1
    l2: bool = True


MODULES = (
    Branches(64, (96, 128), (16, 32), 32, l2=False),
    Branches(64, (96, 128), (32, 64), 64),
    Branches(0, (128, 256), (32, 64), 0, stride=2, l2=False),
    Branches(256, (96, 192), (32, 64), 128),
    Branches(224, (112, 224), (32, 64), 128),
    Branches(192, (128, 256), (32, 64), 128),
    Branches(160, (144, 288), (32, 64), 128),
    Branches(0, (160, 256), (64, 128), 0, stride=2, l2=False),
    Branches(384, (192, 384), (48, 128), 128),
    Branches(384, (192, 384), (48, 128), 128, l2=False),
)


class L2Pool(nn.Module):
    """It is the root of the mean square of 3x3 places."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.AvgPool2d(3, stride=1, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C, H, W)` to the same shape."""
        return torch.sqrt(self.mean(x * x) + TINY)


class Inception(nn.Module):
    """It holds convolutions of several sizes beside each other and pooling (arXiv 1409.4842)."""

    def __init__(self, channels: int, row: Branches) -> None:
        super().__init__()
        reduced, three = row.three
        narrow, five = row.five
        pool = L2Pool() if row.l2 else nn.MaxPool2d(3, row.stride, padding=1)
        projection = _conv(channels, row.pooled, 1) if row.pooled else []
        branches = [
            [*_conv(channels, reduced, 1), *_conv(reduced, three, 3, row.stride)],
            [*_conv(channels, narrow, 1), *_conv(narrow, five, 5, row.stride)],
            [pool, *projection],
        ]
        if row.one:
            branches.insert(0, _conv(channels, row.one, 1))
        self.branches = nn.ModuleList(nn.Sequential(*layers) for layers in branches)
        self.channels = row.one + three + five + (row.pooled or channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C_in, H, W)` to `(N, self.channels, H / stride, W / stride)`."""
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def _conv(channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    layer = nn.Conv2d(channels_in, channels_out, kernel, stride, padding=kernel // 2)
    return [layer, nn.ReLU()]


@register(
    "facenet_nn2",
    input_size=INPUT_SIZE,
    embedding_size=EMBEDDING_SIZE,
    reference="arXiv 1503.03832",
    note="without local response normalization, whose constants are not published",
    large=True,
    published=Published(
        parameters="7.5",
        madds="1600",
        megabytes="30",
        source="arXiv 1503.03832, table 2; arXiv 1804.07573, table 3",
        input_size=INPUT_SIZE,
        differs="published to two digits",
    ),
)
def _nn2() -> nn.Module:
    layers = nn.Sequential(
        *_conv(3, 64, 7, 2),
        nn.MaxPool2d(3, 2, padding=1),
        *_conv(64, 64, 1),
        *_conv(64, 192, 3),
        nn.MaxPool2d(3, 2, padding=1),
    )
    channels = 192
    for row in MODULES:
        module = Inception(channels, row)
        layers.append(module)
        channels = module.channels
    return layers.extend([nn.AvgPool2d(7), nn.Flatten(), nn.Linear(channels, EMBEDDING_SIZE)])
