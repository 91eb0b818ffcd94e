"""Builds the network that the insightface project ships as `mbf`, in its pack `buffalo_s`.

It is named after MobileFaceNet, but is another one: twice as wide, with 512 elements.
"""

from __future__ import annotations

from torch import Tensor, nn

from facebench.architectures.blocks import ConvBNAct
from facebench.architectures.embedding import global_depthwise
from facebench.architectures.registry import Published, register

# Channels in and out and of the depthwise convolution, stride, repeats; those of stride 1
# have a residual.
STAGES = (
    (128, 128, 128, 2, 1),
    (128, 128, 128, 1, 4),
    (128, 256, 256, 2, 1),
    (256, 256, 256, 1, 6),
    (256, 256, 512, 2, 1),
    (256, 256, 256, 1, 2),
)


class Bottleneck(nn.Module):
    """1x1, 3x3 depthwise of `width` channels, linear 1x1; a residual where the stride is 1."""

    def __init__(self, channels_in: int, channels_out: int, width: int, stride: int) -> None:
        super().__init__()
        self.residual = stride == 1
        self.layers = nn.Sequential(
            ConvBNAct(channels_in, width, 1, activation=nn.PReLU),
            ConvBNAct(width, width, stride=stride, groups=width, activation=nn.PReLU),
            ConvBNAct(width, channels_out, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C_in, H, W)` to `(N, C_out, H / stride, W / stride)`."""
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


@register(
    "insightface_mbf",
    embedding_size=512,
    reference="insightface, recognition/arcface_torch, mbf",
    note="another network than MobileFaceNet, though named after it",
    published=Published(parameters="2.06", source="the insightface project, of its mbf"),
)
def _mbf() -> nn.Module:
    layers = nn.Sequential(
        ConvBNAct(3, 128, stride=2, activation=nn.PReLU),
        ConvBNAct(128, 128, groups=64, activation=nn.PReLU),
    )
    for channels_in, channels_out, width, stride, repeats in STAGES:
        layers.extend(Bottleneck(channels_in, channels_out, width, stride) for _ in range(repeats))
    return layers.extend(
        [
            ConvBNAct(256, 512, 1, activation=nn.PReLU),
            global_depthwise(512, (7, 7)),
            nn.Flatten(),
            nn.Linear(512, 512, bias=False),
            nn.BatchNorm1d(512),
        ]
    )
