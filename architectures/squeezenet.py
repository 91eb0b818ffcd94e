"""SqueezeNet 1.1 as a face network (arXiv 1602.07360; 1.1 is the authors' later release)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from facebench.architectures.embedding import gdconv
from facebench.architectures.registry import Published, register

REFERENCE = "arXiv 1602.07360"
# Squeezed and expanded channels of the fire modules between the pools.
STAGES = (
    ((16, 128), (16, 128)),
    ((32, 256), (32, 256)),
    ((48, 384), (48, 384), (64, 512), (64, 512)),
)


class Fire(nn.Module):
    """It is 1x1 squeeze, then 1x1 and 3x3 expansions beside each other (section 3.2). No BN."""

    def __init__(self, channels_in: int, squeezed: int, channels_out: int) -> None:
        super().__init__()
        half = channels_out // 2
        self.squeeze = nn.Sequential(nn.Conv2d(channels_in, squeezed, 1), nn.ReLU())
        self.expand1x1 = nn.Sequential(nn.Conv2d(squeezed, half, 1), nn.ReLU())
        self.expand3x3 = nn.Sequential(nn.Conv2d(squeezed, half, 3, padding=1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C_in, H, W)` to `(N, C_out, H, W)`."""
        squeezed = self.squeeze(x)
        return torch.cat([self.expand1x1(squeezed), self.expand3x3(squeezed)], 1)


def squeezenet(padding: int) -> nn.Sequential:
    """Return the trunk: `(N, 3, H, W)` to `(N, 512, H / 16, W / 16)` with `padding` 1.

    Without padding, as published, maps are one row and one column smaller.
    """
    layers = nn.Sequential(nn.Conv2d(3, 64, 3, stride=2, padding=padding), nn.ReLU())
    channels = 64
    for stage in STAGES:
        layers.append(nn.MaxPool2d(3, stride=2, padding=padding, ceil_mode=not padding))
        for squeezed, channels_out in stage:
            layers.append(Fire(channels, squeezed, channels_out))
            channels = channels_out
    return layers


def _published() -> nn.Module:
    classifier = nn.Sequential(nn.Conv2d(512, 1000, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    return squeezenet(padding=0).append(classifier)


@register(
    "squeezenet",
    reference=REFERENCE,
    note="version 1.1; padded, so that the last map is 7x7, on which a GDConv head stands",
    published=Published(
        parameters="1.24",
        madds="349",
        source="torchvision's squeezenet1_1: 1,235,496 parameters, 0.35 G",
        build=_published,
        input_size=(224, 224),
    ),
)
def _squeezenet() -> nn.Module:
    return squeezenet(padding=1).append(gdconv(512, (7, 7), 128))
