"""Builds ArcFace's LMobileNetE (arXiv 1801.07698, section 3.2.2 of its first version).

It is MobileNetV1 (arXiv 1704.04861) with a first convolution of stride 1 and ArcFace's output
“E”, nine tenths of whose parameters are in one fully connected layer. Its publication does not
say which activation it has; here it is MobileNetV1's.
"""

from __future__ import annotations

from torch import nn

from facebench.architectures.blocks import ConvBNAct, DepthwiseSeparable, relu
from facebench.architectures.mobilenet_v1 import CHANNELS_AND_STRIDE
from facebench.architectures.registry import Published, register
from facebench.architectures.resnet_ir import EMBEDDING_SIZE, e_output


@register(
    "lmobilenet_e",
    embedding_size=EMBEDDING_SIZE,
    reference="arXiv 1801.07698",
    note="with MobileNetV1's activation, as none is said",
    large=True,
    published=Published(parameters="", megabytes="112", source="arXiv 1804.07573, table 3"),
)
def _lmobilenet_e() -> nn.Module:
    layers = nn.Sequential(ConvBNAct(3, 32, activation=relu))
    channels = 32
    for channels_out, stride in CHANNELS_AND_STRIDE:
        layers.append(DepthwiseSeparable(channels, channels_out, stride, relu))
        channels = channels_out
    return layers.extend(e_output(channels))
