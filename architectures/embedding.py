"""These heads turn the last map of a backbone into an embedding.

Global average pooling weighs all places of the map alike; a global depthwise
convolution (GDConv) learns a weight for each place and channel, and a fully
connected layer one for each place, channel and output (arXiv 1804.07573,
section 3.1 and 3.2).
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from facebench.architectures.blocks import ConvBNAct

Head = Callable[[int, tuple[int, int], int], nn.Sequential]


def global_depthwise(channels: int, map_size: tuple[int, int]) -> ConvBNAct:
    """Return a linear GDConv: a depthwise convolution whose kernel is the whole map.

    Maps `(N, channels, *map_size)` to `(N, channels, 1, 1)`.
    """
    return ConvBNAct(channels, channels, map_size, groups=channels, padding=0)


def gdconv(channels: int, map_size: tuple[int, int], embedding_size: int) -> nn.Sequential:
    """Map `(N, channels, H, W)` to `(N, embedding_size)`: GDConv, then a linear 1x1 convolution."""
    return nn.Sequential(
        global_depthwise(channels, map_size),
        ConvBNAct(channels, embedding_size, 1),
        nn.Flatten(),
    )


def gap(channels: int, map_size: tuple[int, int], embedding_size: int) -> nn.Sequential:
    """Return global average pooling, then a linear 1x1 convolution: to `(N, embedding_size)`."""
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(1), ConvBNAct(channels, embedding_size, 1), nn.Flatten()
    )


def fc(channels: int, map_size: tuple[int, int], embedding_size: int) -> nn.Sequential:
    """Return one fully connected layer over the whole map, with BN: to `(N, embedding_size)`."""
    height, width = map_size
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(channels * height * width, embedding_size, bias=False),
        nn.BatchNorm1d(embedding_size),
    )


HEADS: dict[str, Head] = {"gdconv": gdconv, "gap": gap, "fc": fc}
