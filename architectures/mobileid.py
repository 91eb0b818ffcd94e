"""Builds MobileID (Luo et al., AAAI 2016): three convolutions and three linear layers.

Layers are those of the deploy file of its authors (github.com/liuziwei7/mobile-id), which reads
its images from elsewhere and does not say how large they are. Of 47x47 pixels, one of the two
sizes that its teacher DeepID2+ takes, it has the 4.0 MB that were published (of 2^20 bytes); of
55x47, the other, 4.5.
"""

from __future__ import annotations

from torch import nn

from facebench.architectures.registry import Published, register

INPUT_SIZE = (47, 47)
EMBEDDING_SIZE = 422
CHANNELS = 64
WIDTH = 500


@register(
    "mobileid",
    input_size=INPUT_SIZE,
    embedding_size=EMBEDDING_SIZE,
    reference="AAAI 2016, Luo et al.",
    note="the size of its images is a reading",
    large=True,
    published=Published(
        parameters="",
        megabytes="4.0",
        source="its authors' deploy file: layers; arXiv 1804.07573, table 3: size",
        input_size=INPUT_SIZE,
    ),
)
def _mobileid() -> nn.Module:
    return nn.Sequential(
        *[nn.Conv2d(3, CHANNELS, 4), nn.ReLU(), nn.MaxPool2d(2)],
        *[nn.Conv2d(CHANNELS, CHANNELS, 3), nn.ReLU(), nn.MaxPool2d(2)],
        *[nn.Conv2d(CHANNELS, CHANNELS, 3), nn.ReLU(), nn.MaxPool2d(2)],
        nn.Flatten(),
        *[nn.Linear(4 * 4 * CHANNELS, WIDTH), nn.ReLU()],
        *[nn.Linear(WIDTH, WIDTH), nn.ReLU()],
        *[nn.Linear(WIDTH, EMBEDDING_SIZE), nn.ReLU()],
    )
