"""Builds SphereFace-20 and SphereFace-64 (arXiv 1704.08063, table 2).

CosFace (arXiv 1801.09414, section 4.1) takes SphereFace-64 as it is, with another loss.
"""

from __future__ import annotations

from torch import Tensor, nn

from facebench.architectures.registry import Published, register

REFERENCE = "arXiv 1704.08063"
INPUT_SIZE = (112, 96)
EMBEDDING_SIZE = 512
CHANNELS = (64, 128, 256, 512)


class PlainResidual(nn.Module):
    """It holds two 3x3 convolutions with PReLU and without BN, around which the input passes."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(layer for _ in range(2) for layer in activated(channels)))

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, channels, H, W)` to the same shape."""
        y: Tensor = x + self.layers(x)
        return y


def activated(channels: int) -> list[nn.Module]:
    """Return a 3x3 convolution that keeps the map and its channels, and its PReLU."""
    return [nn.Conv2d(channels, channels, 3, padding=1), nn.PReLU(channels)]


def sphereface(units: tuple[int, int, int, int]) -> nn.Sequential:
    """Map `(N, 3, 112, 96)` to `(N, 512)`, with that many residual units in each stage."""
    layers, channels = nn.Sequential(), 3
    for channels_out, count in zip(CHANNELS, units, strict=True):
        layers.append(nn.Conv2d(channels, channels_out, 3, stride=2, padding=1))
        layers.append(nn.PReLU(channels_out))
        layers.extend(PlainResidual(channels_out) for _ in range(count))
        channels = channels_out
    return layers.extend([nn.Flatten(), nn.Linear(channels * 7 * 6, EMBEDDING_SIZE)])


@register(
    "sphereface_20",
    input_size=INPUT_SIZE,
    embedding_size=EMBEDDING_SIZE,
    reference=REFERENCE,
    large=True,
    published=Published(
        parameters="22.671",
        flops="3504",
        source="OpenVINO's Open Model Zoo, Sphereface",
        input_size=INPUT_SIZE,
    ),
)
def _20() -> nn.Module:
    return sphereface((1, 2, 4, 1))


@register(
    "sphereface_64",
    input_size=INPUT_SIZE,
    embedding_size=EMBEDDING_SIZE,
    reference=REFERENCE,
    note="CosFace's network too (arXiv 1801.09414)",
    large=True,
    published=Published(
        parameters="",
        source="arXiv 1704.08063, table 2, which has layers and no counts",
        input_size=INPUT_SIZE,
    ),
)
def _64() -> nn.Module:
    return sphereface((3, 8, 16, 3))
