"""Builds ShiftNet-C as a face network, as ShiftFaceNet has it (arXiv 1711.08141, section 3).

Where others have depthwise convolutions it moves each channel by one place, or leaves it: that
takes neither parameters nor multiply-adds. No public text of its table of layers was at hand in
full. Modules, channels and expansion are those with which ImageNet's form has the 0.78 M
parameters that were published; kernels are all 3x3, the order of normalization is that of
MobileNet, and where the stride is 2 no identity is added.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from facebench.architectures.blocks import ConvBNAct, relu
from facebench.architectures.registry import Published, register

KERNEL = 3
STEM = 32
# Channels and number of the modules of each group, of which the first has stride 2.
GROUPS = ((32, 1), (64, 4), (128, 4), (256, 3))


class Shift(nn.Module):
    """It moves channels by the places of a window's taps: as many by each, the rest by none.

    Channel `c` becomes what a convolution gives whose only weight, a one, is at tap
    `c // (channels // kernel^2)`, row by row: places outside of the map are zero.

    Args:
        channels: of the map.
        kernel: height and width of the window, odd.
        map_size: height and width of the map, constants so that every exporter writes them so.
    """

    def __init__(self, channels: int, kernel: int, map_size: tuple[int, int]) -> None:
        super().__init__()
        height, width = map_size
        share, edge = channels // kernel**2, kernel // 2
        self.pad = nn.ZeroPad2d(edge)
        self.moved = [
            (slice(None), slice(tap * share, (tap + 1) * share), slice(y, y + height),
             slice(x, x + width))
            for tap, (y, x) in enumerate((y, x) for y in range(kernel) for x in range(kernel))
        ]  # fmt: skip
        self.rest = channels - kernel**2 * share

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, channels, *map_size)` to the same shape."""
        padded = self.pad(x)
        parts = [padded[place] for place in self.moved]
        return torch.cat([*parts, x[:, -self.rest :]] if self.rest else parts, 1)


class ShiftModule(nn.Module):
    """It is 1x1 convolution, shift, 1x1 convolution (figure 3), as wide between as it gives."""

    def __init__(
        self, channels_in: int, channels_out: int, stride: int, map_size: tuple[int, int]
    ) -> None:
        super().__init__()
        self.residual = stride == 1 and channels_in == channels_out
        self.layers = nn.Sequential(
            ConvBNAct(channels_in, channels_out, 1, activation=relu),
            Shift(channels_out, KERNEL, map_size),
            ConvBNAct(channels_out, channels_out, 1, stride),
        )
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C_in, H, W)` to `(N, C_out, H / stride, W / stride)`."""
        y: Tensor = self.layers(x)
        activated: Tensor = self.act(x + y if self.residual else y)
        return activated


def shiftnet_c(side: int, stride: int, values: int) -> nn.Sequential:
    """Return the network for images of `side` pixels, whose first convolution has `stride`."""
    layers = nn.Sequential(ConvBNAct(3, STEM, 7, stride, activation=relu))
    channels, side = STEM, side // stride
    for channels_out, count in GROUPS:
        for number in range(count):
            module_stride = 1 if number else 2
            layers.append(ShiftModule(channels, channels_out, module_stride, (side, side)))
            channels, side = channels_out, side // module_stride
    return layers.extend([nn.AvgPool2d(side), nn.Flatten(), nn.Linear(channels, values)])


def _published() -> nn.Module:
    return shiftnet_c(224, 2, 1000)


@register(
    "shiftnet_c",
    reference="arXiv 1711.08141",
    note="the first convolution has stride 1, so that the last map is 7x7 as for ImageNet",
    published=Published(
        parameters="0.78",
        source="arXiv 1711.08141, table 5; arXiv 1804.07573, section 1 (ShiftFaceNet)",
        build=_published,
        input_size=(224, 224),
    ),
)
def _shiftnet_c() -> nn.Module:
    return shiftnet_c(112, 1, 128)
