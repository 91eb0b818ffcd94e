"""Builds Light CNN-9 and Light CNN-29 (arXiv 1511.02683, tables 1 and 2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from facebench.architectures.registry import Published, register

REFERENCE = "arXiv 1511.02683"
INPUT_SIZE = (128, 128)
EMBEDDING_SIZE = 256
# ITU-R BT.601: how much of each of red, green and blue is in the grey that the network sees.
LUMA = (0.299, 0.587, 0.114)
STAGES = (96, 192, 128, 128)
DIFFERS = (
    "its table counts conv2 with 96 channels in (165 K), where the max-feature-map of conv2a "
    "leaves 48 (83 K), and truncates each row"
)


class Grey(nn.Module):
    """It is the grey channel of a colour image."""

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, 3, H, W)` to `(N, 1, H, W)`."""
        red, green, blue = (share * x[:, i : i + 1] for i, share in enumerate(LUMA))
        return red + green + blue


class MaxFeatureMap(nn.Module):
    """It is the larger of the two halves of a layer's channels (section 3.1, MFM 2/1)."""

    def __init__(self, layer: nn.Conv2d | nn.Linear) -> None:
        super().__init__()
        self.layer = layer
        self.halves = [layer.weight.shape[0] // 2] * 2

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C, ...)` to what `layer` gives, with half of its channels."""
        one, other = torch.split(self.layer(x), self.halves, 1)
        return torch.maximum(one, other)


def _conv(channels_in: int, channels_out: int, kernel: int) -> MaxFeatureMap:
    return MaxFeatureMap(nn.Conv2d(channels_in, 2 * channels_out, kernel, padding=kernel // 2))


class Residual(nn.Module):
    """It holds two 3x3 max-feature-map convolutions around which the input passes (section 3.2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(_conv(channels, channels, 3), _conv(channels, channels, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, channels, H, W)` to the same shape."""
        y: Tensor = x + self.layers(x)
        return y


def light_cnn(residuals: tuple[int, int, int, int]) -> nn.Sequential:
    """Map `(N, 3, 128, 128)` to `(N, 256)`, with that many residual blocks before each stage."""
    layers = nn.Sequential(Grey(), _conv(1, 48, 5), nn.MaxPool2d(2))
    channels = 48
    for stage, (channels_out, blocks) in enumerate(zip(STAGES, residuals, strict=True)):
        layers.extend(Residual(channels) for _ in range(blocks))
        layers.extend([_conv(channels, channels, 1), _conv(channels, channels_out, 3)])
        if stage != 2:
            layers.append(nn.MaxPool2d(2))
        channels = channels_out
    embed = nn.Linear(channels * 8 * 8, 2 * EMBEDDING_SIZE)
    return layers.extend([nn.Flatten(), MaxFeatureMap(embed)])


@register(
    "light_cnn_9",
    input_size=INPUT_SIZE,
    embedding_size=EMBEDDING_SIZE,
    reference=REFERENCE,
    note="grey is worked out of the colour image",
    published=Published(
        parameters="5.556",
        source="arXiv 1511.02683, table 1",
        input_size=INPUT_SIZE,
        differs=DIFFERS,
    ),
)
def _light_cnn_9() -> nn.Module:
    return light_cnn((0, 0, 0, 0))


@register(
    "light_cnn_29",
    input_size=INPUT_SIZE,
    embedding_size=EMBEDDING_SIZE,
    reference=REFERENCE,
    note="grey is worked out of the colour image",
    published=Published(
        parameters="12.637",
        source="arXiv 1511.02683, table 2",
        input_size=INPUT_SIZE,
        differs=DIFFERS,
    ),
)
def _light_cnn_29() -> nn.Module:
    return light_cnn((1, 2, 3, 4))
