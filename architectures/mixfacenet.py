"""Builds MixFaceNet (arXiv 2107.13046, table 1 and the authors' release)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from facebench.architectures.blocks import Activation, ConvBNAct, SqueezeExcitation
from facebench.architectures.embedding import global_depthwise
from facebench.architectures.registry import Published, register

REFERENCE = "arXiv 2107.13046"
EMBEDDING_SIZE = 512


class MixNetRow(NamedTuple):
    """It is one block.

    `groups_in` and `groups_out` part the expanding and the projecting 1x1 convolution,
    `kernels` is how many depthwise kernel sizes share the channels: 3, 5, 7, ...; `squeeze`
    by how much the gate narrows its channels relative to the unexpanded ones, 0 for no gate.
    """

    channels: int
    expansion: int
    groups_in: int
    kernels: int
    groups_out: int
    squeeze: int
    stride: int = 1


ROWS = (
    MixNetRow(24, 6, 2, 1, 2, 0),
    MixNetRow(24, 3, 2, 1, 2, 0),
    MixNetRow(40, 6, 1, 3, 1, 2, stride=2),
    MixNetRow(40, 6, 2, 2, 2, 2),
    MixNetRow(40, 6, 2, 2, 2, 2),
    MixNetRow(40, 6, 2, 2, 2, 2),
    MixNetRow(80, 6, 1, 3, 2, 4, stride=2),
    MixNetRow(80, 6, 1, 2, 2, 4),
    MixNetRow(80, 6, 1, 2, 2, 4),
    MixNetRow(120, 6, 2, 3, 2, 2),
    MixNetRow(120, 3, 2, 4, 2, 2),
    MixNetRow(120, 3, 2, 4, 2, 2),
    MixNetRow(200, 6, 1, 5, 1, 2, stride=2),
    MixNetRow(200, 6, 1, 4, 2, 2),
    MixNetRow(200, 6, 1, 4, 2, 2),
)


def swish(channels: int) -> nn.Module:
    """Return x times its sigmoid; it is the same for any number of channels."""
    return nn.SiLU()


class MixedDepthwise(nn.Module):
    """It holds depthwise convolutions of growing kernels, each on its share (arXiv 1907.09595,
    section 3).

    What does not part evenly goes to the first, 3x3. BN and activation go by channel, so
    they stand at each share, where BN folds into the convolution.
    """

    def __init__(self, channels: int, kernels: int, stride: int, activation: Activation) -> None:
        super().__init__()
        share = channels // kernels
        self.shares = [channels - share * (kernels - 1)] + [share] * (kernels - 1)
        self.convolutions = nn.ModuleList(
            ConvBNAct(own, own, 3 + 2 * i, stride, groups=own, activation=activation)
            for i, own in enumerate(self.shares)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, channels, H, W)` to `(N, channels, H / stride, W / stride)`, rounded up."""
        if len(self.shares) == 1:
            alone: Tensor = self.convolutions[0](x)
            return alone
        parts = torch.split(x, self.shares, 1)
        return torch.cat([conv(parts[i]) for i, conv in enumerate(self.convolutions)], 1)


class MixBlock(nn.Module):
    """It is 1x1 expand, mixed depthwise, gate, linear 1x1 (figure 1)."""

    def __init__(self, channels_in: int, row: MixNetRow, activation: Activation) -> None:
        super().__init__()
        width = channels_in * row.expansion
        self.residual = row.stride == 1 and channels_in == row.channels
        self.layers = nn.Sequential()
        if row.expansion != 1:
            self.layers.append(
                ConvBNAct(channels_in, width, 1, groups=row.groups_in, activation=activation)
            )
        self.layers.append(MixedDepthwise(width, row.kernels, row.stride, activation))
        if row.squeeze:
            squeezed = width // (row.expansion * row.squeeze)
            self.layers.append(SqueezeExcitation(width, squeezed, activation, nn.Sigmoid()))
        self.layers.append(ConvBNAct(width, row.channels, 1, groups=row.groups_out))

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C_in, H, W)` to `(N, C_out, H / stride, W / stride)`."""
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


def mixfacenet(width: float, last: int) -> nn.Sequential:
    """Map `(N, 3, 112, 112)` to `(N, 512)`; `last` channels before the GDConv."""
    channels = int(16 * width)
    stem = MixNetRow(channels, 1, 1, 1, 1, 0)
    layers = nn.Sequential(
        ConvBNAct(3, channels, stride=2, activation=nn.PReLU),
        MixBlock(channels, stem, nn.PReLU),
    )
    for i, row in enumerate(ROWS):
        wide = row._replace(channels=int(row.channels * width + 4) // 8 * 8)
        layers.append(MixBlock(channels, wide, nn.PReLU if i < 2 else swish))
        channels = wide.channels
    return layers.extend(
        [
            ConvBNAct(channels, last, 1, activation=nn.PReLU),
            global_depthwise(last, (7, 7)),
            ConvBNAct(last, EMBEDDING_SIZE, 1),
            nn.Flatten(),
        ]
    )


@register(
    "mixfacenet_s",
    embedding_size=EMBEDDING_SIZE,
    reference=REFERENCE,
    published=Published(parameters="3.07", flops="451.7", source="arXiv 2107.13046, table 2"),
)
def _s() -> nn.Module:
    return mixfacenet(1.0, 1024)


@register(
    "mixfacenet_xs",
    embedding_size=EMBEDDING_SIZE,
    reference=REFERENCE,
    published=Published(parameters="1.04", flops="161.9", source="arXiv 2107.13046, table 2"),
)
def _xs() -> nn.Module:
    return mixfacenet(0.5, 512)
