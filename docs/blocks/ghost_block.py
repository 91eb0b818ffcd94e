"""MobileFaceNet whose 1x1 convolutions make half of their maps by cheap depthwise ones."""

import torch
from torch import Tensor, nn

from facebench.architectures.blocks import Activation, ConvBNAct
from facebench.architectures.embedding import gdconv
from facebench.architectures.mobilefacenet import mobilefacenet
from facebench.architectures.registry import register


class Ghost(nn.Module):
    """Half of the maps by 1x1 convolution, half from these by 3x3 depthwise (arXiv 1911.11907)."""

    def __init__(self, channels_in: int, channels_out: int, activation: Activation | None) -> None:
        super().__init__()
        half = channels_out // 2
        self.primary = ConvBNAct(channels_in, half, 1, activation=activation)
        self.cheap = ConvBNAct(half, half, 3, groups=half, activation=activation)

    def forward(self, x: Tensor) -> Tensor:
        y = self.primary(x)
        return torch.cat([y, self.cheap(y)], 1)


class Block(nn.Module):
    """MobileFaceNet's bottleneck with ghost modules for its 1x1 convolutions."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        stride: int,
        expansion: int,
        activation: Activation,
    ) -> None:
        super().__init__()
        width = channels_in * expansion
        self.residual = stride == 1 and channels_in == channels_out
        self.layers = nn.Sequential(
            Ghost(channels_in, width, activation),
            ConvBNAct(width, width, 3, stride, groups=width, activation=activation),
            Ghost(width, channels_out, None),
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.layers(x)
        return x + y if self.residual else y


@register("mobilefacenet_ghost", reference="arXiv 1911.11907 in arXiv 1804.07573")
def _network() -> nn.Module:
    return mobilefacenet(gdconv(512, (7, 7), 128), block=Block)
