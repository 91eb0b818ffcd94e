"""Builds KANFace (github.com/hungpham3112/KANFace): EdgeFace whose embedding is a layer of splines.

Each element of the embedding is the mean, over the backbone's features, of a function of one
feature: a SiLU times a weight, and a cubic spline (arXiv 2404.19756, section 2.2). A spline's
scale and its coefficients, whose product alone matters, are one weight here, as deployed.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from facebench.architectures.edgeface import EMBEDDING_SIZE, edgenext, low_rank
from facebench.architectures.registry import Published, register

# B-splines beyond one for each interval, where they are of third degree.
_MORE = 3


class Splines(nn.Module):
    """It maps features `(N, D)` to their SiLU and their B-splines: `(N, D * (intervals + 4))`.

    Cubic B-splines over equal intervals of -1 to 1 are one function, moved: a difference of two
    cubes in place of the recursion (C. de Boor, A Practical Guide to Splines, chapter IX).

    Args:
        intervals: of -1 to 1.
    """

    def __init__(self, intervals: int) -> None:
        super().__init__()
        self.intervals = intervals
        places = torch.arange(intervals + _MORE, dtype=torch.float32) - intervals / 2 - 1
        # Not learned, but in every file: so it is counted as what is learned.
        self.places = nn.Parameter(places, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, D)`; of each feature the SiLU comes first."""
        x = x.unsqueeze(2)
        away = (x * (self.intervals / 2) - self.places).abs()
        wide, narrow = (2 - away).relu(), (1 - away).relu()
        splines = (wide * wide * wide - 4 * narrow * narrow * narrow) / 6
        return torch.cat([nn.functional.silu(x), splines], 2).flatten(1)


class SplineLinear(nn.Module):
    """It maps features `(N, D)` to `(N, E)`, each the mean of D functions, as it was published.

    Args:
        features: D.
        outputs: E.
        intervals: in which the splines are polynomials.
    """

    def __init__(self, features: int, outputs: int, intervals: int) -> None:
        super().__init__()
        self.splines = Splines(intervals)
        shape, bound = (outputs, features, 1), 1 / math.sqrt(features)
        self.base = nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
        self.scale = nn.Parameter(torch.full(shape, bound))
        noise = torch.rand(outputs, features, intervals + _MORE) - 0.5
        self.coefficients = nn.Parameter(noise / (2 * intervals))

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, D)` to `(N, E)`."""
        return nn.functional.linear(self.splines(x), self._weight())

    def merged(self) -> nn.Sequential:
        """Return the same function with one weight for each product of two."""
        weight = self._weight().detach()
        linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
        linear.weight = nn.Parameter(weight)
        return nn.Sequential(self.splines, linear)

    def _weight(self) -> Tensor:
        joined = torch.cat([self.base, self.scale * self.coefficients], 2)
        return joined.flatten(1) / self.base.shape[1]


def _kanface() -> nn.Module:
    """Return the form that was published."""
    network: Any = low_rank(edgenext("x_small"), 0.6)
    network.head.fc = SplineLinear(network.num_features, EMBEDDING_SIZE, 25)
    return network  # type: ignore[no-any-return]


@register(
    "kanface_06_25",
    embedding_size=EMBEDDING_SIZE,
    reference="github.com/hungpham3112/KANFace",
    note="rank ratio 0.6, splines of 25 intervals, means",
    published=Published(
        parameters="4.74",
        source="the authors' table, rank ratio 0.6, grid size 25",
        build=_kanface,
        differs=(
            "published with one more parameter for each spline than their code has, and a bias; "
            "their 239.56 M FLOPs hold each spline's basis, which a feature's splines share"
        ),
    ),
)
def _06_25() -> nn.Module:
    network: Any = _kanface()
    network.head.fc = network.head.fc.merged()
    return network  # type: ignore[no-any-return]
