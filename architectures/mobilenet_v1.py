"""Builds MobileNetV1 as a face network (arXiv 1704.04861, table 1; arXiv 1804.07573, section
4.1).
"""

from __future__ import annotations

from torch import nn

from facebench.architectures.blocks import ConvBNAct, DepthwiseSeparable, relu
from facebench.architectures.embedding import Head, gap, gdconv
from facebench.architectures.registry import register

REFERENCE = "arXiv 1704.04861"
CHANNELS_AND_STRIDE = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *[(512, 1)] * 5,
    (1024, 2),
    (1024, 1),
)


def mobilenet_v1(head: Head) -> nn.Sequential:
    """Map `(N, 3, 112, 112)` to `(N, 128)`.

    The first convolution has stride 1, so that the last map is 7x7.
    """
    layers = nn.Sequential(ConvBNAct(3, 32, activation=relu))
    channels = 32
    for channels_out, stride in CHANNELS_AND_STRIDE:
        layers.append(DepthwiseSeparable(channels, channels_out, stride, relu))
        channels = channels_out
    return layers.append(head(channels, (7, 7), 128))


@register("mobilenet_v1", reference=REFERENCE, paper_row="MobileNetV1")
def _gap() -> nn.Module:
    return mobilenet_v1(gap)


@register("mobilenet_v1_gdconv", reference=REFERENCE)
def _gdconv() -> nn.Module:
    return mobilenet_v1(gdconv)
