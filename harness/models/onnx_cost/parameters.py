"""Says which tables of an ONNX graph an operator reads as parameters.

An exporter keeps one of several tensors that are equal: those of a fresh network, all ones or
all zeros, as well as those that layers share. A table of differing numbers that is read twice is
one that layers share, and counts once, as in torch. A table of one number throughout is what
initialization leaves, and counts for each layer that reads it; where a layer has a table of
differing numbers beside it, the layer is known by that.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from math import prod

from facebench.harness.models.onnx_cost.graph import OnnxGraph, Operator
from facebench.harness.models.onnx_cost.rules import RULES


class Parameters:
    """It tells the parameters of a graph's operators apart, by names that uses share or not."""

    def __init__(self, graph: OnnxGraph) -> None:
        self._graph = graph
        self._is_uniform = cache(graph.is_uniform)

    def of(self, one: Operator, places: tuple[int, ...] | None) -> dict[str, int]:
        """Return elements of each parameter that an operator reads, by a name for it.

        Args:
            one: an operator.
            places: among its inputs; None is any, without tables of one element.
        """
        found = [
            (place, name)
            for place, value in enumerate(one.inputs)
            if value and (places is None or place in places)
            for name in self._sources(value)
        ]
        sizes = {name: prod(self._graph.tables[name].dims) for _, name in found}
        if places is None:
            found = [(place, name) for place, name in found if sizes[name] > 1]
        layer = next((name for _, name in found if not self._is_uniform(name)), one.output)
        return {
            f"{name} {place} of {layer}" if self._is_uniform(name) else name: sizes[name]
            for place, name in found
        }

    def _sources(self, value: str) -> Iterator[str]:
        """Give the tables from which a value that does not depend on the image is worked out.

        Of a layer that is worked out so, such as a convolution of a table of positions, only
        its own parameters are some.
        """
        graph = self._graph
        if value in graph.mapped:
            return
        if graph.is_real(value):
            yield value
        if maker := graph.makers.get(value):
            places = RULES[maker.kind].parameters if maker.kind in RULES else None
            for place, name in enumerate(maker.inputs):
                if not places or place in places:
                    yield from self._sources(name)
