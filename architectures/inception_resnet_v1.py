"""Builds Inception-ResNet-v1 (arXiv 1602.07261, figures 10 to 15) as the FaceNet of public weights.

Those are David Sandberg's (github.com/davidsandberg/facenet): 160x160 pixels, 512 values, and
residuals that are scaled.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from facebench.architectures.blocks import ConvBNAct, relu
from facebench.architectures.registry import Published, register

INPUT_SIZE = (160, 160)
EMBEDDING_SIZE = 512
Kernel = int | tuple[int, int]


def _conv(
    channels_in: int, channels_out: int, kernel: Kernel = 1, stride: int = 1, valid: bool = False
) -> ConvBNAct:
    padding = 0 if valid else None
    return ConvBNAct(channels_in, channels_out, kernel, stride, activation=relu, padding=padding)


class ScaledResidual(nn.Module):
    """It holds branches beside each other, joined by a 1x1 convolution and added, scaled.

    Args:
        channels: of its input.
        branches: each the channels and kernel of its convolutions.
        scale: of what is added.
        activated: whether a rectifier follows.
    """

    def __init__(
        self,
        channels: int,
        branches: list[list[tuple[int, Kernel]]],
        scale: float,
        activated: bool = True,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.branches = nn.ModuleList(_chain(channels, branch) for branch in branches)
        self.up = nn.Conv2d(sum(branch[-1][0] for branch in branches), channels, 1)
        self.act = nn.ReLU() if activated else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, channels, H, W)` to the same shape."""
        joined = torch.cat([branch(x) for branch in self.branches], dim=1)
        y: Tensor = self.act(x + self.scale * self.up(joined))
        return y


class Reduction(nn.Module):
    """It halves the map by branches that end in a 3x3 convolution of stride 2, and by pooling."""

    def __init__(self, channels: int, branches: list[list[int]]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [nn.MaxPool2d(3, 2), *(_reducing(channels, branch) for branch in branches)]
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C_in, H, W)` to the branches' and the input's channels, half as large."""
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def _chain(channels: int, branch: list[tuple[int, Kernel]]) -> nn.Sequential:
    layers = nn.Sequential()
    for channels_out, kernel in branch:
        layers.append(_conv(channels, channels_out, kernel))
        channels = channels_out
    return layers


def _reducing(channels: int, widths: list[int]) -> nn.Sequential:
    """Return 1x1, then 3x3 convolutions, the last of stride 2; a single width is the last alone."""
    *before, last = widths
    layers = _chain(channels, [(width, 3 if i else 1) for i, width in enumerate(before)])
    return layers.append(_conv(before[-1] if before else channels, last, 3, 2, valid=True))


@register(
    "inception_resnet_v1",
    input_size=INPUT_SIZE,
    embedding_size=EMBEDDING_SIZE,
    reference="arXiv 1602.07261",
    large=True,
    published=Published(
        parameters="23.469",
        flops="2846",
        source="OpenVINO's Open Model Zoo, facenet-20180408-102900",
        input_size=INPUT_SIZE,
        differs="counted there with BN folded, here as trained",
    ),
)
def _inception_resnet_v1() -> nn.Module:
    stem = nn.Sequential(
        _conv(3, 32, 3, 2, valid=True),
        _conv(32, 32, 3, valid=True),
        _conv(32, 64, 3),
        nn.MaxPool2d(3, 2),
        _conv(64, 80),
        _conv(80, 192, 3, valid=True),
        _conv(192, 256, 3, 2, valid=True),
    )
    a: list[list[tuple[int, Kernel]]] = [[(32, 1)], [(32, 1), (32, 3)], [(32, 1), (32, 3), (32, 3)]]
    b: list[list[tuple[int, Kernel]]] = [[(128, 1)], [(128, 1), (128, (1, 7)), (128, (7, 1))]]
    c: list[list[tuple[int, Kernel]]] = [[(192, 1)], [(192, 1), (192, (1, 3)), (192, (3, 1))]]
    return nn.Sequential(
        stem,
        *(ScaledResidual(256, a, 0.17) for _ in range(5)),
        Reduction(256, [[384], [192, 192, 256]]),
        *(ScaledResidual(896, b, 0.10) for _ in range(10)),
        Reduction(896, [[256, 384], [256, 256], [256, 256, 256]]),
        *(ScaledResidual(1792, c, 0.20) for _ in range(5)),
        ScaledResidual(1792, c, 1.0, activated=False),
        nn.AvgPool2d(3),
        nn.Flatten(),
        nn.Linear(1792, EMBEDDING_SIZE, bias=False),
        nn.BatchNorm1d(EMBEDDING_SIZE),
    )
