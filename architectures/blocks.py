"""These are the blocks that mobile networks are built of.

Every block maps `(N, C_in, H, W)` to `(N, C_out, H / stride, W / stride)`. An
activation is given as a function of the channel count (`nn.PReLU` is one);
None makes a layer linear.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Activation = Callable[[int], nn.Module]


def relu(channels: int) -> nn.Module:
    """Return a rectifier; it is the same for any number of channels."""
    return nn.ReLU()


def relu6(channels: int) -> nn.Module:
    """Return a rectifier clipped at 6 (arXiv 1704.04861, 1801.04381)."""
    return nn.ReLU6()


class ConvBNAct(nn.Sequential):
    """Convolution, batch normalization and, unless it is linear, an activation.

    The padding keeps `H / stride` for odd kernels; `padding=0` makes a kernel
    of the map's own size global.

    Example:
        >>> ConvBNAct(3, 64, stride=2, activation=nn.PReLU)(torch.zeros(1, 3, 112, 112)).shape
        torch.Size([1, 64, 56, 56])
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int | tuple[int, int] = 3,
        stride: int = 1,
        groups: int = 1,
        activation: Activation | None = None,
        padding: int | None = None,
    ) -> None:
        height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
        same = (height // 2, width // 2)
        super().__init__()
        self.conv = nn.Conv2d(
            channels_in,
            channels_out,
            (height, width),
            stride,
            same if padding is None else padding,
            groups=groups,
            bias=False,
        )
        self.bn = nn.BatchNorm2d(channels_out)
        if activation is not None:
            self.act = activation(channels_out)


class DepthwiseSeparable(nn.Sequential):
    """It is a 3x3 depthwise convolution, then 1x1 convolution (arXiv 1704.04861, section 3.1)."""

    def __init__(
        self, channels_in: int, channels_out: int, stride: int, activation: Activation
    ) -> None:
        super().__init__()
        self.depthwise = ConvBNAct(
            channels_in, channels_in, stride=stride, groups=channels_in, activation=activation
        )
        self.pointwise = ConvBNAct(channels_in, channels_out, 1, activation=activation)


class InvertedResidual(nn.Module):
    """It is 1x1 expand, 3x3 depthwise, 1x1 linear (arXiv 1801.04381, table 1).

    The identity is added where stride is 1 and the channel counts match. With
    an expansion of 1 there is no expanding convolution.
    """

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
        self.layers = nn.Sequential()
        if expansion != 1:
            self.layers.append(ConvBNAct(channels_in, width, 1, activation=activation))
        self.layers.append(
            ConvBNAct(width, width, stride=stride, groups=width, activation=activation)
        )
        self.layers.append(ConvBNAct(width, channels_out, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C_in, H, W)` to `(N, C_out, H / stride, W / stride)`."""
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


class ChannelShuffle(nn.Module):
    """Deal the channels of each group out to all groups (arXiv 1707.01083, figure 1).

    The same as `nn.ChannelShuffle`, but made of reshapes to sizes that are
    known beforehand, which every exporter writes as constants, so that the
    batch stays free and no runtime has to work out a shape.
    """

    def __init__(self, channels: int, groups: int, map_size: tuple[int, int]) -> None:
        super().__init__()
        height, width = map_size
        self.grouped = (-1, groups, channels // groups, height * width)
        self.joined = (-1, channels, height, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, channels, *map_size)` to the same shape."""
        return x.reshape(self.grouped).transpose(1, 2).reshape(self.joined)


class SqueezeExcitation(nn.Module):
    """Weighs each channel by what the whole map holds (arXiv 1709.01507, section 3).

    Args:
        channels: of the map.
        squeezed: channels between the two 1x1 convolutions.
        activation: between them.
        gate: makes the weights of the second one's output.
    """

    def __init__(
        self, channels: int, squeezed: int, activation: Activation, gate: nn.Module
    ) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, squeezed, 1),
            activation(squeezed),
            nn.Conv2d(squeezed, channels, 1),
            gate,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, channels, H, W)` to the same shape."""
        weighed: Tensor = x * self.weigh(x)
        return weighed


class ShuffleUnit(nn.Module):
    """It is a grouped bottleneck with a channel shuffle (arXiv 1707.01083, figure 2 b and c).

    With stride 2 the pooled input is concatenated to the branch, which then
    gives the channels that the input does not. `map_size` is the input's
    height and width; `groups_first` the groups of the first 1x1 convolution.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        stride: int,
        groups: int,
        groups_first: int,
        map_size: tuple[int, int],
        activation: Activation,
    ) -> None:
        super().__init__()
        width = channels_out // 4
        branch_out = channels_out if stride == 1 else channels_out - channels_in
        self.stride = stride
        self.branch = nn.Sequential(
            ConvBNAct(channels_in, width, 1, groups=groups_first, activation=activation),
            ChannelShuffle(width, groups, map_size),
            ConvBNAct(width, width, stride=stride, groups=width),
            ConvBNAct(width, branch_out, 1, groups=groups),
        )
        self.pool = nn.AvgPool2d(3, stride=2, padding=1)
        self.act = activation(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C_in, H, W)` to `(N, C_out, H / stride, W / stride)`."""
        y: Tensor = self.branch(x)
        joined = x + y if self.stride == 1 else torch.cat([self.pool(x), y], dim=1)
        activated: Tensor = self.act(joined)
        return activated
