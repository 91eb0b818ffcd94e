"""Defines the result of counting denormal numbers.

This module needs neither torch nor TVM.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from facebench.harness.records.results import Result


@dataclass(frozen=True)
class DenormalCount:
    """How many elements of a tensor are denormal: not 0, and smaller than 2**-126.

    Attributes:
        name: of the weights, or of the layer that computed it.
        elements: in all; of a layer, of all images.
        denormals: of them.
    """

    name: str
    elements: int
    denormals: int

    @property
    def share(self) -> float:
        """Return the share of denormals among the elements, 0 to 1."""
        return self.denormals / self.elements if self.elements else 0.0


@dataclass(frozen=True)
class Denormals(Result):
    """It holds denormal numbers in a network, fp32, BN folded, where nothing flushes them.

    Attributes:
        images: that the layers were looked at with.
        weights: of each tensor of weights, in the file's order.
        activations: of each layer's output, in execution order.
    """

    images: int
    weights: tuple[DenormalCount, ...]
    activations: tuple[DenormalCount, ...]

    @property
    def weight_share(self) -> float:
        """Return the share of denormals among all weights, 0 to 1."""
        return _together(self.weights).share

    @property
    def activation_share(self) -> float:
        """Return the share of denormals among all elements that layers computed, 0 to 1."""
        return _together(self.activations).share

    @property
    def none(self) -> bool:
        """Say whether there is not a single one."""
        return not any(one.denormals for one in (*self.weights, *self.activations))


def worst_first(counts: Sequence[DenormalCount]) -> list[DenormalCount]:
    """Return those that hold any, the largest share first."""
    return sorted((one for one in counts if one.denormals), key=lambda one: -one.share)


def _together(counts: Sequence[DenormalCount]) -> DenormalCount:
    return DenormalCount(
        "", sum(one.elements for one in counts), sum(one.denormals for one in counts)
    )
