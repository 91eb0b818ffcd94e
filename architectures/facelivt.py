"""Builds FaceLiVT (arXiv 2506.10361) and FaceLiVTv2 (arXiv 2604.09127).

Both mix places by depthwise convolutions on large maps, and by linear layers over all places of a
small one: “multi-head linear attention”, whose heads are groups of channels. RepMix, depthwise
convolutions of 3x3 and 1x1 and the identity, which are summed and normalized, is written as the
one convolution that this is; it begins with the identity in its middle.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from facebench.architectures.blocks import ConvBNAct
from facebench.architectures.registry import Published, register

EMBEDDING_SIZE = 512
# Height and width of the map in each of the four stages.
SIDES = (28, 14, 7, 4)
# Channels of FaceLiVTv2's head.
HEAD_CHANNELS = 1284


def gelu(channels: int) -> nn.Module:
    """Return a GELU; it is the same for any number of channels."""
    return nn.GELU()


class Shortcut(nn.Module):
    """It adds what its layers make of a map to the map."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C, H, W)` to the same shape."""
        y: Tensor = x + self.layers(x)
        return y


def _ffn(channels: int, expansion: int) -> Shortcut:
    width = channels * expansion
    return Shortcut(ConvBNAct(channels, width, 1, activation=gelu), ConvBNAct(width, channels, 1))


def rep_mix(channels: int) -> ConvBNAct:
    """Return RepMix as one depthwise convolution and its BN."""
    layer = ConvBNAct(channels, channels, groups=channels)
    with torch.no_grad():
        layer.conv.weight[:, :, 1, 1] += 1
    return layer


class Scale(nn.Module):
    """It multiplies each channel of `(N, C, H, W)` by what is learned."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels, 1, 1), 1e-5))

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C, H, W)` to the same shape."""
        return x * self.weight


class Affine(Scale):
    """It multiplies each channel, and shifts it by what is learned."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C, H, W)` to the same shape."""
        return super().forward(x) + self.bias


class LinearAttention(nn.Module):
    """Each head mixes the places of its share of the channels.

    Args:
        channels: of the map.
        side: height and width of the map.
        norm: what the map is normalized by first.
        heads: each maps `(N, C / heads, H * W)` to the same shape.
    """

    def __init__(self, channels: int, side: int, norm: nn.Module, heads: list[nn.Module]) -> None:
        super().__init__()
        self.share, self.map_shape = channels // len(heads), (-1, channels, side, side)
        self.norm, self.heads = norm, nn.ModuleList(heads)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C, H, W)` to the same shape."""
        tokens = self.norm(x).flatten(2)
        # Cut one by one: what is traced knows no number of shares.
        mixed = [
            head(tokens[:, first * self.share : (first + 1) * self.share])
            for first, head in enumerate(self.heads)
        ]
        return torch.cat(mixed, 1).reshape(self.map_shape)


def _attention(channels: int, side: int) -> Shortcut:
    places = side * side
    heads: list[nn.Module] = [
        nn.Sequential(nn.Linear(places, 4 * places), nn.GELU(), nn.Linear(4 * places, places))
        for _ in range(16)
    ]
    return Shortcut(LinearAttention(channels, side, nn.GroupNorm(1, channels), heads))


def _lite_attention(channels: int, side: int) -> Shortcut:
    heads: list[nn.Module] = [nn.Linear(side * side, side * side) for _ in range(4)]
    attention = LinearAttention(channels, side, Affine(channels), heads)
    return Shortcut(attention, Scale(channels))


def _down(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        ConvBNAct(channels_in, channels_in, stride=2, groups=channels_in),
        ConvBNAct(channels_in, channels_out, 1),
        _ffn(channels_out, 2),
    )


def _stem(channels: int) -> nn.Sequential:
    return nn.Sequential(
        ConvBNAct(3, channels // 2, stride=2, activation=gelu),
        ConvBNAct(channels // 2, channels, stride=2),
    )


def facelivt(channels: tuple[int, int, int, int], blocks: tuple[int, int, int, int]) -> nn.Module:
    """Map `(N, 3, 112, 112)` to `(N, 512)`: convolutions in two stages, attention in two."""
    layers = nn.Sequential(_stem(channels[0]))
    for stage, (width, side) in enumerate(zip(channels, SIDES, strict=True)):
        if stage:
            layers.append(_down(channels[stage - 1], width))
        for _ in range(blocks[stage]):
            layers.append(rep_mix(width) if stage < 2 else _attention(width, side))
            layers.append(_ffn(width, 3))
    return layers.extend(
        [
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.BatchNorm1d(channels[-1]),
            nn.Linear(channels[-1], EMBEDDING_SIZE),
        ]
    )


def facelivt_v2(channels: tuple[int, int, int, int]) -> nn.Module:
    """Map `(N, 3, 112, 112)` to `(N, 512)`: convolutions in each block, attention from stage 3."""
    layers = nn.Sequential(_stem(channels[0]))
    for stage, (width, side) in enumerate(zip(channels, SIDES, strict=True)):
        if stage:
            layers.append(_down(channels[stage - 1], width))
        for _ in range((3, 3, 9, 3)[stage]):
            layers.append(rep_mix(width))
            if stage >= 2:
                layers.append(_lite_attention(width, side))
            layers.append(_ffn(width, 2))
    return layers.extend(
        [
            ConvBNAct(channels[-1], HEAD_CHANNELS, 1),
            ConvBNAct(HEAD_CHANNELS, HEAD_CHANNELS, SIDES[-1], groups=HEAD_CHANNELS, padding=0),
            nn.Flatten(),
            nn.Linear(HEAD_CHANNELS, EMBEDDING_SIZE),
        ]
    )


@register(
    "facelivt_s",
    embedding_size=EMBEDDING_SIZE,
    reference="arXiv 2506.10361",
    note="with linear attention; its table of results has the form with self-attention",
    published=Published(
        parameters="5.05",
        madds="160",
        source="the authors' list of variants (github.com/novendrastywn/FaceLiVT), facelivt_s",
        differs="published as deployed, rounded down, and with operations of BN and activations",
    ),
)
def _s() -> nn.Module:
    return facelivt((40, 80, 160, 320), (2, 4, 6, 2))


@register(
    "facelivt_m",
    embedding_size=EMBEDDING_SIZE,
    reference="arXiv 2506.10361",
    published=Published(
        parameters="9.8",
        madds="386",
        source="arXiv 2604.09127, table of results, FaceLiVTv1-M",
        differs="published with operations of BN and activations",
    ),
)
def _m() -> nn.Module:
    return facelivt((64, 128, 256, 512), (2, 4, 6, 2))


@register(
    "facelivtv2_s",
    embedding_size=EMBEDDING_SIZE,
    reference="arXiv 2604.09127",
    published=Published(
        parameters="4.62",
        madds="179",
        source="arXiv 2604.09127, table of results, FaceLiVTv2-S",
        differs="published as deployed, without BN's parameters, and with operations of BN",
    ),
)
def _v2_s() -> nn.Module:
    return facelivt_v2((48, 96, 192, 320))
