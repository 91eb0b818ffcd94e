"""Builds SwiftFaceFormer-S (ICPR 2024); the backbone is timm's SwiftFormer (arXiv 2303.15446)."""

from __future__ import annotations

from torch import nn

from facebench.architectures.blocks import ConvBNAct
from facebench.architectures.registry import Published, register

EMBEDDING_SIZE = 512
# Height and width of the last map of a face of 112x112.
SIDE = 4
# Channels and blocks of the four stages; the last block of each has attention.
CHANNELS, BLOCKS = (48, 64, 168, 224), (3, 3, 9, 6)


def _one_slope(channels: int) -> nn.Module:
    """Return a PReLU whose slope is that of all channels."""
    return nn.PReLU()


@register(
    "swiftfaceformer_s",
    embedding_size=EMBEDDING_SIZE,
    reference="ICPR 2024, doi 10.1007/978-3-031-78341-8_16",
    published=Published(
        # 485 M FLOPs are published too: two for each multiply-add here, but for those of the
        # linear layers of attention, would be 481 M.
        parameters="6.0",
        source="arXiv 2604.09127, table of results, SwiftFaceFormer-S",
    ),
)
def _s() -> nn.Module:
    from timm.models.swiftformer import SwiftFormer

    backbone = SwiftFormer(layers=[*BLOCKS], embed_dims=[*CHANNELS], num_classes=0)
    return nn.Sequential(
        backbone.stem,
        backbone.stages,
        backbone.norm,
        ConvBNAct(CHANNELS[-1], EMBEDDING_SIZE, 1, activation=_one_slope),
        ConvBNAct(EMBEDDING_SIZE, EMBEDDING_SIZE, SIDE, groups=EMBEDDING_SIZE, padding=0),
        nn.Conv2d(EMBEDDING_SIZE, EMBEDDING_SIZE, 1),
        nn.BatchNorm2d(EMBEDDING_SIZE),
        nn.Flatten(),
    )
