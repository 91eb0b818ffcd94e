"""Builds the network of center loss (Wen et al., ECCV 2016), as its authors' caffe-face has it."""

from __future__ import annotations

from torch import nn

from facebench.architectures.registry import Published, register
from facebench.architectures.sphereface import PlainResidual

INPUT_SIZE = (112, 96)
EMBEDDING_SIZE = 512
# Residual units, and channels of the convolution after them, which is not padded and then pooled.
STAGES = ((1, 128), (2, 256), (5, 512))


def _narrowing(channels_in: int, channels_out: int) -> list[nn.Module]:
    return [nn.Conv2d(channels_in, channels_out, 3), nn.PReLU(channels_out)]


@register(
    "center_face",
    input_size=INPUT_SIZE,
    embedding_size=EMBEDDING_SIZE,
    reference="ECCV 2016, Wen et al.",
    large=True,
    published=Published(
        parameters="",
        megabytes="105",
        source="arXiv 1804.07573, table 3",
        input_size=INPUT_SIZE,
    ),
)
def _center_face() -> nn.Module:
    layers = nn.Sequential(*_narrowing(3, 32), *_narrowing(32, 64), nn.MaxPool2d(2))
    channels = 64
    for units, channels_out in STAGES:
        layers.extend(PlainResidual(channels) for _ in range(units))
        layers.extend([*_narrowing(channels, channels_out), nn.MaxPool2d(2)])
        channels = channels_out
    layers.extend(PlainResidual(channels) for _ in range(3))
    return layers.extend([nn.Flatten(), nn.Linear(channels * 5 * 4, EMBEDDING_SIZE)])
