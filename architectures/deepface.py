"""Builds DeepFace (Taigman et al., CVPR 2014, figure 2): three of its layers share no weights.

Its input is a frontal view, made by a model of the face in three dimensions. What it compares is
the output of the layer before its classifier, F7; dropout, which is left out at inference, is
left out, and so is what each value is divided by, its largest over the training set.
"""

from __future__ import annotations

from torch import nn

from facebench.architectures.locally_connected import LocallyConnected
from facebench.architectures.registry import Published, register

INPUT_SIZE = (152, 152)
EMBEDDING_SIZE = 4096
PEOPLE = 4030


def deepface() -> nn.Sequential:
    """Return its layers up to F7: `(N, 3, 152, 152)` to `(N, 4096)`."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 11),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, padding=1),
        nn.Conv2d(32, 16, 9),
        nn.ReLU(),
        LocallyConnected(16, 16, 9, (63, 63)),
        nn.ReLU(),
        LocallyConnected(16, 16, 7, (55, 55), 2),
        nn.ReLU(),
        LocallyConnected(16, 16, 5, (25, 25)),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 21 * 21, EMBEDDING_SIZE),
    )


def _published() -> nn.Module:
    return deepface().extend([nn.ReLU(), nn.Linear(EMBEDDING_SIZE, PEOPLE)])


@register(
    "deepface",
    input_size=INPUT_SIZE,
    embedding_size=EMBEDDING_SIZE,
    reference="CVPR 2014, Taigman et al.",
    note="the embedding is F7 before its ReLU, which would leave half of it zero",
    large=True,
    published=Published(
        parameters="120",
        source="CVPR 2014, Taigman et al., section 3 (more than 120 million parameters)",
        build=_published,
        input_size=INPUT_SIZE,
        differs="the layers of its figure 2 have 118.9 M",
    ),
)
def _deepface() -> nn.Module:
    return deepface()
