"""Builds MobileNetV2 as a face network (arXiv 1801.04381, table 2; arXiv 1804.07573, section
4.1).
"""

from __future__ import annotations

from torch import nn

from facebench.architectures.blocks import ConvBNAct, InvertedResidual, relu6
from facebench.architectures.embedding import Head, gap, gdconv
from facebench.architectures.registry import register

REFERENCE = "arXiv 1801.04381"
# Expansion, channels, repeats, stride of the first of them.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mobilenet_v2(head: Head) -> nn.Sequential:
    """Map `(N, 3, 112, 112)` to `(N, 128)`.

    The first convolution has stride 1, so that the last map is 7x7.
    """
    layers = nn.Sequential(ConvBNAct(3, 32, activation=relu6))
    channels = 32
    for expansion, channels_out, repeats, stride in STAGES:
        for repeat in range(repeats):
            stride_here = stride if repeat == 0 else 1
            layers.append(InvertedResidual(channels, channels_out, stride_here, expansion, relu6))
            channels = channels_out
    layers.append(ConvBNAct(channels, 1280, 1, activation=relu6))
    return layers.append(head(1280, (7, 7), 128))


@register("mobilenet_v2", reference=REFERENCE, paper_row="MobileNetV2")
def _gap() -> nn.Module:
    return mobilenet_v2(gap)


@register("mobilenet_v2_gdconv", reference=REFERENCE, paper_row="MobileNetV2-GDConv")
def _gdconv() -> nn.Module:
    return mobilenet_v2(gdconv)
