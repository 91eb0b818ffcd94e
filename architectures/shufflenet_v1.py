"""Builds ShuffleNet as a face network (arXiv 1707.01083, table 1; arXiv 1804.07573, section
4.1).
"""

from __future__ import annotations

from torch import nn

from facebench.architectures.blocks import ConvBNAct, ShuffleUnit, relu
from facebench.architectures.embedding import Head, gap, gdconv
from facebench.architectures.registry import register

REFERENCE = "arXiv 1707.01083"
GROUPS = 3
CHANNELS_AND_REPEATS = ((240, 4), (480, 8), (960, 4))


def shufflenet_v1(head: Head) -> nn.Sequential:
    """Return the network of width 1x with 3 groups: `(N, 3, 112, 112)` to `(N, 128)`.

    The first convolution has stride 1, so that the last map is 7x7. The very
    first 1x1 convolution is not grouped, its input being narrow (section 3.3).
    """
    layers = nn.Sequential(ConvBNAct(3, 24, activation=relu), nn.MaxPool2d(3, stride=2, padding=1))
    channels, side = 24, 56
    for stage, (channels_out, repeats) in enumerate(CHANNELS_AND_REPEATS):
        for repeat in range(repeats):
            stride = 2 if repeat == 0 else 1
            groups_first = 1 if stage == repeat == 0 else GROUPS
            layers.append(
                ShuffleUnit(
                    channels, channels_out, stride, GROUPS, groups_first, (side, side), relu
                )
            )
            channels, side = channels_out, side // stride
    return layers.append(head(channels, (7, 7), 128))


@register("shufflenet_v1", reference=REFERENCE, paper_row="ShuffleNet (1x, g=3)")
def _gap() -> nn.Module:
    return shufflenet_v1(gap)


@register("shufflenet_v1_gdconv", reference=REFERENCE)
def _gdconv() -> nn.Module:
    return shufflenet_v1(gdconv)
