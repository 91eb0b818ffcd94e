"""Builds ShuffleNetV2 and ShuffleFaceNet (arXiv 1807.11164; ICCVW 2019,
10.1109/ICCVW.2019.00333).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from facebench.architectures.blocks import Activation, ChannelShuffle, ConvBNAct, relu
from facebench.architectures.embedding import gdconv, global_depthwise
from facebench.architectures.registry import Published, register

REPEATS = (4, 8, 4)


class Unit(nn.Module):
    """Half of the channels pass by, the other half is convolved (arXiv 1807.11164, figure 3).

    With stride 2 (figure 3 d) all channels take both ways, each with a depthwise convolution.
    `map_size` is the output's height and width.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        stride: int,
        map_size: tuple[int, int],
        activation: Activation,
    ) -> None:
        super().__init__()
        half = channels_out // 2
        self.halves = [half, half] if stride == 1 else []
        branch_in = half if stride == 1 else channels_in
        self.branch = nn.Sequential(
            ConvBNAct(branch_in, half, 1, activation=activation),
            ConvBNAct(half, half, stride=stride, groups=half),
            ConvBNAct(half, half, 1, activation=activation),
        )
        self.passing = nn.Sequential()
        if not self.halves:
            self.passing.append(
                ConvBNAct(channels_in, channels_in, stride=stride, groups=channels_in)
            )
            self.passing.append(ConvBNAct(channels_in, half, 1, activation=activation))
        self.shuffle = ChannelShuffle(channels_out, 2, map_size)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C_in, H, W)` to `(N, C_out, H / stride, W / stride)`."""
        passing, convolved = torch.split(x, self.halves, 1) if self.halves else (x, x)
        joined = torch.cat([self.passing(passing), self.branch(convolved)], 1)
        shuffled: Tensor = self.shuffle(joined)
        return shuffled


def trunk(
    stages: tuple[int, int, int], last: int, side: int, stem: nn.Module, activation: Activation
) -> nn.Sequential:
    """Map `(N, 3, H, W)` to `(N, last, side / 8, side / 8)`; `side` is that of the stem's
    output.
    """
    layers = nn.Sequential(stem)
    channels = 24
    for channels_out, repeats in zip(stages, REPEATS, strict=True):
        side //= 2
        for repeat in range(repeats):
            stride = 2 if repeat == 0 else 1
            layers.append(Unit(channels, channels_out, stride, (side, side), activation))
            channels = channels_out
    return layers.append(ConvBNAct(channels, last, 1, activation=activation))


def _shufflenet_v2(first_stride: int, side: int) -> nn.Sequential:
    """Return the network of width 1x (arXiv 1807.11164, table 5)."""
    stem = nn.Sequential(
        ConvBNAct(3, 24, stride=first_stride, activation=relu),
        nn.MaxPool2d(3, stride=2, padding=1),
    )
    return trunk((116, 232, 464), 1024, side, stem, relu)


def _published() -> nn.Module:
    network = _shufflenet_v2(first_stride=2, side=56)
    return network.extend([nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1024, 1000)])


@register(
    "shufflenet_v2",
    reference="arXiv 1807.11164",
    note="width 1x; the first stride is 1, so that the last map is 7x7, with a GDConv head",
    published=Published(
        parameters="2.3",
        madds="146",
        source="arXiv 1807.11164, table 8, and the authors' repository",
        differs="144.9 M by our count, which is torchvision's network to the last one",
        build=_published,
        input_size=(224, 224),
    ),
)
def _v2() -> nn.Module:
    return _shufflenet_v2(first_stride=1, side=56).append(gdconv(1024, (7, 7), 128))


@register(
    "shufflefacenet",
    reference="ICCVW 2019, 10.1109/ICCVW.2019.00333",
    note="width 1.5x, which its authors recommend",
    published=Published(
        parameters="2.6",
        flops="577.5",
        source="ShuffleFaceNet, table 1, 1.5x",
        differs="2.67 M by our count: 2.6 is truncated",
    ),
)
def _shufflefacenet() -> nn.Module:
    stem = ConvBNAct(3, 24, stride=2, activation=nn.PReLU)
    head = nn.Sequential(global_depthwise(1024, (7, 7)), ConvBNAct(1024, 128, 1), nn.Flatten())
    return trunk((176, 352, 704), 1024, 56, stem, nn.PReLU).append(head)
