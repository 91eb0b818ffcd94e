"""Builds VGG-Face, the network of Deep Face Recognition (Parkhi et al., BMVC 2015, table 3).

It is VGG's configuration D (arXiv 1409.1556, table 1) up to its second fully connected layer,
whose 4096 values the publication compares; dropout, which is left out at inference, is left out.
"""

from __future__ import annotations

from torch import nn

from facebench.architectures.registry import Published, register

INPUT_SIZE = (224, 224)
EMBEDDING_SIZE = 4096
# Channels and number of the 3x3 convolutions before each pooling.
STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


@register(
    "vgg_face",
    input_size=INPUT_SIZE,
    embedding_size=EMBEDDING_SIZE,
    reference="BMVC 2015, Parkhi et al.",
    large=True,
    published=Published(
        parameters="",
        megabytes="500",
        source="arXiv 1804.07573, table 3 (0.5 GB)",
        input_size=INPUT_SIZE,
    ),
)
def _vgg_face() -> nn.Module:
    layers, channels = nn.Sequential(), 3
    for channels_out, count in STAGES:
        for _ in range(count):
            layers.extend([nn.Conv2d(channels, channels_out, 3, padding=1), nn.ReLU()])
            channels = channels_out
        layers.append(nn.MaxPool2d(2))
    return layers.extend(
        [
            nn.Flatten(),
            nn.Linear(channels * 7 * 7, EMBEDDING_SIZE),
            nn.ReLU(),
            nn.Linear(EMBEDDING_SIZE, EMBEDDING_SIZE),
        ]
    )
