"""MobileFaceNet whose depthwise convolutions were trained as three branches and are one now."""

import torch
from torch import Tensor, nn

from facebench.architectures.blocks import Activation, ConvBNAct
from facebench.architectures.embedding import gdconv
from facebench.architectures.mobilefacenet import mobilefacenet
from facebench.architectures.registry import register


class Branches(nn.Module):
    """3x3 and 1x1 depthwise convolutions and the identity, added (arXiv 2101.03697).

    Each has a BN of its own while it trains. For inference the three are one 3x3
    convolution: `deployed` says which, and that is what is exported, counted and timed.
    """

    def __init__(self, channels: int, stride: int, activation: Activation) -> None:
        super().__init__()
        self.stride, self.groups = stride, channels
        self.wide = ConvBNAct(channels, channels, 3, stride, groups=channels)
        self.point = ConvBNAct(channels, channels, 1, stride, groups=channels)
        self.identity = nn.BatchNorm2d(channels) if stride == 1 else None
        self.act = activation(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.wide(x) + self.point(x)
        return self.act(y if self.identity is None else y + self.identity(x))

    def deployed(self) -> nn.Module:
        """One depthwise convolution, and the activation."""
        point = nn.functional.pad(self.point.conv.weight, (1, 1, 1, 1))
        parts = [(self.wide.conv.weight, self.wide.bn), (point, self.point.bn)]
        if self.identity is not None:
            one = nn.functional.pad(torch.ones(self.groups, 1, 1, 1), (1, 1, 1, 1))
            parts.append((one, self.identity))
        joined = nn.Conv2d(self.groups, self.groups, 3, self.stride, 1, groups=self.groups)
        kernels, biases = zip(*(_folded(kernel, bn) for kernel, bn in parts), strict=True)
        with torch.no_grad():
            joined.weight.copy_(torch.stack(kernels).sum(0))
            assert joined.bias is not None
            joined.bias.copy_(torch.stack(biases).sum(0))
        return nn.Sequential(joined, self.act)


def _folded(kernel: Tensor, bn: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    assert bn.running_mean is not None
    assert bn.running_var is not None
    scale = bn.weight / (bn.running_var + bn.eps).sqrt()
    return kernel * scale.view(-1, 1, 1, 1), bn.bias - bn.running_mean * scale


class Block(nn.Module):
    """MobileFaceNet's bottleneck with branches for its depthwise convolution."""

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
            Branches(width, stride, activation),
            ConvBNAct(width, channels_out, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.layers(x)
        return x + y if self.residual else y


@register("mobilefacenet_rep", reference="arXiv 2101.03697 in arXiv 1804.07573")
def _network() -> nn.Module:
    return mobilefacenet(gdconv(512, (7, 7), 128), block=Block)
