"""MobileFaceNet whose bottlenecks weigh their channels: squeeze and excitation."""

from torch import Tensor, nn

from facebench.architectures.blocks import Activation, ConvBNAct
from facebench.architectures.embedding import gdconv
from facebench.architectures.mobilefacenet import mobilefacenet
from facebench.architectures.registry import register


class SqueezeExcite(nn.Module):
    """A weight from 0 to 1 for each channel, from its mean (arXiv 1709.01507)."""

    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, channels // reduction, 1),
            nn.ReLU(),
            nn.Conv2d(channels // reduction, channels, 1),
            nn.Hardsigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weigh(x)


class Block(nn.Module):
    """MobileFaceNet's bottleneck with squeeze and excitation after the depthwise convolution."""

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
            ConvBNAct(channels_in, width, 1, activation=activation),
            ConvBNAct(width, width, 3, stride, groups=width, activation=activation),
            SqueezeExcite(width),
            ConvBNAct(width, channels_out, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.layers(x)
        return x + y if self.residual else y


@register("mobilefacenet_se", reference="arXiv 1709.01507 in arXiv 1804.07573")
def _network() -> nn.Module:
    return mobilefacenet(gdconv(512, (7, 7), 128), block=Block)
