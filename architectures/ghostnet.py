"""Builds GhostNet and GhostFaceNetV1 (arXiv 1911.11907; IEEE Access 2023,
10.1109/ACCESS.2023.3266068).
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from facebench.architectures.blocks import Activation, ConvBNAct, SqueezeExcitation
from facebench.architectures.embedding import global_depthwise
from facebench.architectures.from_timm import build, imagenet
from facebench.architectures.registry import Published, register

EMBEDDING_SIZE = 512
# Of the networks that the paper scores.
WIDTH = 1.3
REFERENCE = "IEEE Access 2023, 10.1109/ACCESS.2023.3266068"
SOURCE = "GhostFaceNets, IEEE Access 2023, as later papers cite it"
DIFFERS = "Keras counts the statistics of BN as parameters, and its profiler other operations too"


class GhostNetRow(NamedTuple):
    """It is one bottleneck: of its depthwise kernel, channels, gate and stride."""

    kernel: int
    expanded: int
    channels: int
    gated: bool = False
    stride: int = 1


ROWS = (
    GhostNetRow(3, 16, 16),
    GhostNetRow(3, 48, 24, stride=2),
    GhostNetRow(3, 72, 24),
    GhostNetRow(5, 72, 40, gated=True, stride=2),
    GhostNetRow(5, 120, 40, gated=True),
    GhostNetRow(3, 240, 80, stride=2),
    GhostNetRow(3, 200, 80),
    GhostNetRow(3, 184, 80),
    GhostNetRow(3, 184, 80),
    GhostNetRow(3, 480, 112, gated=True),
    GhostNetRow(3, 672, 112, gated=True),
    GhostNetRow(5, 672, 160, gated=True, stride=2),
    GhostNetRow(5, 960, 160),
    GhostNetRow(5, 960, 160, gated=True),
    GhostNetRow(5, 960, 160),
    GhostNetRow(5, 512, 160, gated=True),
)


class Ghost(nn.Module):
    """It makes half of the channels by a 1x1 convolution, half from these by a 3x3 depthwise one.

    (arXiv 1911.11907, section 3.1, with a ratio of 2.)
    """

    def __init__(
        self, channels_in: int, channels_out: int, activation: Activation | None = None
    ) -> None:
        super().__init__()
        half = channels_out // 2
        self.primary = ConvBNAct(channels_in, half, 1, activation=activation)
        self.cheap = ConvBNAct(half, half, groups=half, activation=activation)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C_in, H, W)` to `(N, C_out, H, W)`."""
        primary = self.primary(x)
        return torch.cat([primary, self.cheap(primary)], 1)


class GhostBottleneck(nn.Module):
    """It holds two ghost modules, a strided depthwise convolution between them (figure 3)."""

    def __init__(self, channels_in: int, row: GhostNetRow, activation: Activation) -> None:
        super().__init__()
        kernel, expanded, channels, gated, stride = row
        self.branch = nn.Sequential(Ghost(channels_in, expanded, activation))
        if stride > 1:
            self.branch.append(ConvBNAct(expanded, expanded, kernel, stride, groups=expanded))
        if gated:
            squeezed = _divisible(expanded // 4)
            self.branch.append(SqueezeExcitation(expanded, squeezed, activation, nn.Hardsigmoid()))
        self.branch.append(Ghost(expanded, channels))
        self.shortcut = nn.Sequential()
        if stride > 1 or channels_in != channels:
            self.shortcut.append(
                ConvBNAct(channels_in, channels_in, kernel, stride, groups=channels_in)
            )
            self.shortcut.append(ConvBNAct(channels_in, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C_in, H, W)` to `(N, C_out, H / stride, W / stride)`."""
        y: Tensor = self.shortcut(x) + self.branch(x)
        return y


def _divisible(channels: float) -> int:
    """Return the multiple of 4 next to `channels`, at most a tenth below it (arXiv 1801.04381)."""
    nearest = max(4, int(channels + 2) // 4 * 4)
    return nearest + 4 if nearest < 0.9 * channels else nearest


def ghostfacenet(first_stride: int) -> nn.Sequential:
    """Return GhostFaceNetV1: `(N, 3, 112, 112)` to `(N, 512)`."""
    activation = nn.PReLU
    channels = _divisible(16 * WIDTH)
    layers = nn.Sequential(ConvBNAct(3, channels, stride=first_stride, activation=activation))
    for row in ROWS:
        wide = row._replace(
            expanded=_divisible(row.expanded * WIDTH), channels=_divisible(row.channels * WIDTH)
        )
        layers.append(GhostBottleneck(channels, wide, activation))
        channels = wide.channels
    last = _divisible(ROWS[-1].expanded * WIDTH)
    side = 7 if first_stride == 1 else 4
    return layers.extend(
        [
            ConvBNAct(channels, last, 1, activation=activation),
            global_depthwise(last, (side, side)),
            ConvBNAct(last, EMBEDDING_SIZE, 1),
            nn.Flatten(),
        ]
    )


@register(
    "ghostnet",
    reference="arXiv 1911.11907",
    note="timm's backbone with a GDConv head; the first stride is 1, so that the last map is 7x7",
    published=Published(
        parameters="5.2",
        madds="141",
        source="arXiv 1911.11907, table 7, 1.0x",
        build=partial(imagenet, "ghostnet_100"),
        input_size=(224, 224),
    ),
)
def _ghostnet() -> nn.Module:
    return build("ghostnet_100", "gdconv")


@register(
    "ghostfacenet_v1_1",
    embedding_size=EMBEDDING_SIZE,
    reference=REFERENCE,
    note="the first stride is 1",
    published=Published(parameters="4.09", madds="215.7", source=SOURCE, differs=DIFFERS),
)
def _ghostfacenet_1() -> nn.Module:
    return ghostfacenet(first_stride=1)


@register(
    "ghostfacenet_v1_2",
    embedding_size=EMBEDDING_SIZE,
    reference=REFERENCE,
    note="the first stride is 2",
    published=Published(parameters="4.06", madds="60.29", source=SOURCE, differs=DIFFERS),
)
def _ghostfacenet_2() -> nn.Module:
    return ghostfacenet(first_stride=2)
