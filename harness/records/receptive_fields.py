"""Defines effective receptive fields and GDConv's weights as figures, without torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facebench.harness.records.results import Result

Map = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Fields(Result):
    """They are a network's effective receptive fields (arXiv 1701.04128; 1804.07573, section 3.1).

    Attributes:
        map_size: height and width of the last map.
        centre: mean size of the gradient of the map's central unit by each pixel, over channels
            and random images; in blocks of pixels, the largest of both fields being 1.
        corner: the same of the unit in the upper left corner.
        weights: mean size of GDConv's weights at each place of the map, their mean being 1;
            None where the global operator is another.
        images: random ones that gradients were averaged over.
    """

    map_size: tuple[int, int]
    centre: Map
    corner: Map
    weights: Map | None
    images: int

    def __post_init__(self) -> None:
        """Refuse what is no map.

        Raises:
            ValueError: rows differ in length, or there are none.
        """
        for one in filter(None, (self.centre, self.corner, self.weights)):
            if len({len(row) for row in one}) != 1 or not one[0]:
                raise ValueError("a map has rows of one length")

    @property
    def corner_share(self) -> float:
        """Return what the corner unit sees in all, over what the central unit sees."""
        return float(np.sum(self.corner) / np.sum(self.centre))

    @property
    def centre_emphasis(self) -> float | None:
        """Mean weight of the inner places of GDConv's map over that of the outermost ring."""
        if self.weights is None:
            return None
        weights = np.asarray(self.weights)
        inner = weights[1:-1, 1:-1]
        ring = (weights.sum() - inner.sum()) / (weights.size - inner.size)
        return float(inner.mean() / ring)
