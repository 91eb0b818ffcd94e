"""Builds ArcFace's LResNet50E-IR and LResNet100E-IR (arXiv 1801.07698, section 3.2.2 of its first
version).

“L” is a first convolution of stride 1, “E” the output BN, fully connected, BN, and “IR” a
residual unit of BN, convolution, BN, PReLU, convolution, BN. Dropout, which is left out at
inference, is left out.
"""

from __future__ import annotations

from torch import Tensor, nn

from facebench.architectures.registry import Published, register

REFERENCE = "arXiv 1801.07698"
EMBEDDING_SIZE = 512
CHANNELS = (64, 128, 256, 512)
SOURCE = "insightface, recognition/arcface_torch"


class ImprovedResidual(nn.Module):
    """It is a residual unit of two 3x3 convolutions, whose input is normalized first."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm2d(channels_in),
            nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.PReLU(channels_out),
            nn.Conv2d(channels_out, channels_out, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
        )
        self.shortcut = nn.Sequential()
        if stride != 1:
            self.shortcut.append(nn.Conv2d(channels_in, channels_out, 1, stride, bias=False))
            self.shortcut.append(nn.BatchNorm2d(channels_out))

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C_in, H, W)` to `(N, C_out, H / stride, W / stride)`."""
        y: Tensor = self.shortcut(x) + self.layers(x)
        return y


def e_output(channels: int) -> list[nn.Module]:
    """Return ArcFace's output “E”: from a 7x7 map to `(N, 512)`."""
    return [
        nn.BatchNorm2d(channels),
        nn.Flatten(),
        nn.Linear(channels * 7 * 7, EMBEDDING_SIZE),
        nn.BatchNorm1d(EMBEDDING_SIZE),
    ]


def resnet_ir(units: tuple[int, int, int, int]) -> nn.Sequential:
    """Map `(N, 3, 112, 112)` to `(N, 512)`, with that many residual units in each stage."""
    layers = nn.Sequential(
        nn.Conv2d(3, CHANNELS[0], 3, padding=1, bias=False),
        nn.BatchNorm2d(CHANNELS[0]),
        nn.PReLU(CHANNELS[0]),
    )
    channels = CHANNELS[0]
    for channels_out, count in zip(CHANNELS, units, strict=True):
        layers.append(ImprovedResidual(channels, channels_out, 2))
        layers.extend(ImprovedResidual(channels_out, channels_out, 1) for _ in range(count - 1))
        channels = channels_out
    return layers.extend(e_output(channels))


@register(
    "resnet_ir_50",
    embedding_size=EMBEDDING_SIZE,
    reference=REFERENCE,
    large=True,
    published=Published(parameters="43.6", source=SOURCE),
)
def _50() -> nn.Module:
    return resnet_ir((3, 4, 14, 3))


@register(
    "resnet_ir_100",
    embedding_size=EMBEDDING_SIZE,
    reference=REFERENCE,
    large=True,
    published=Published(
        parameters="65.2",
        flops="24209",
        megabytes="250",
        source=f"{SOURCE}; OpenVINO's Open Model Zoo; arXiv 1804.07573, table 3",
    ),
)
def _100() -> nn.Module:
    return resnet_ir((3, 13, 30, 3))
