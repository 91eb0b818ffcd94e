"""Defines the times of a network's layers."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from facebench.harness.records.results import Result


@dataclass(frozen=True)
class LayerTime:
    """It is the time of one layer, as the runtime fused it.

    Attributes:
        name: as the runtime calls it.
        operator: what it computes, such as `Conv` or `FusedConv`.
        ms: median of several inferences, in milliseconds.
    """

    name: str
    operator: str
    ms: float


@dataclass(frozen=True)
class LayerTimes(Result):
    """They are the times of one inference, layer by layer, in execution order.

    Attributes:
        layers: each with its time.
        inferences: that the medians are of.
    """

    layers: tuple[LayerTime, ...]
    inferences: int

    @property
    def total_ms(self) -> float:
        """Return the time of all layers together: above the latency by what profiling takes."""
        return sum(layer.ms for layer in self.layers)

    @property
    def shares(self) -> dict[str, float]:
        """Return the shares of the total, by operator, the largest first."""
        found: defaultdict[str, float] = defaultdict(float)
        for layer in self.layers:
            found[layer.operator] += layer.ms
        total = self.total_ms or 1.0
        ordered = sorted(found.items(), key=lambda item: -item[1])
        return {operator: ms / total for operator, ms in ordered}
