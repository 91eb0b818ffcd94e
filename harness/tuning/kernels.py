"""Kernels of one precision on one target's registers, as a search needs them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray
from tvm import tirx

from facebench.harness.compiler.tiling import Tiling
from facebench.harness.compiler.vectors import Registers
from facebench.harness.compiler.workload import Workload

# What a kernel reads or gives: numbers of single or half precision, or bytes.
Array = NDArray[Any]


class Operands(Protocol):
    """What a kernel is given, maps (N, H, W, C) among it."""

    @property
    def maps(self) -> tuple[Array, ...]:
        """Return what other kernels of a network give: the input, and a map that is added."""
        ...


class SearchedKernels(Protocol):
    """Kernels of one precision, whose maps are (N, H, W, C).

    Attributes:
        registers: of the target.
    """

    @property
    def registers(self) -> Registers: ...  # noqa: D102  # the class says it

    def tilings(self, work: Workload) -> list[Tiling]:
        """Return a workload's tilings by modelled cost, the model's choice first."""
        ...

    def function(self, work: Workload, tiling: Tiling) -> tirx.PrimFunc:
        """Return a workload's kernel with a tiling."""
        ...

    def random(self, work: Workload) -> Operands:
        """Return values about as a trained network has them."""
        ...

    def extreme(self, work: Workload) -> Iterator[tuple[str, Operands]]:
        """Yield values at the ends of what there is, each with a word for it."""
        ...

    def arguments(self, work: Workload, tiling: Tiling, given: Any) -> list[Array]:
        """Return operands in the order in which a kernel takes them, without its output.

        Those of `Operands.maps` are the same objects.
        """
        ...

    def output(self, work: Workload) -> Array:
        """Return zeros in the place of the output, (N, H, W, F)."""
        ...

    def defined(self, work: Workload, given: Sequence[Any]) -> list[Array]:
        """Return what a kernel should give of each of several operands, computed plainly here."""
        ...

    def scales(self, work: Workload, tiling: Tiling, given: Sequence[Any]) -> list[float]:
        """Return for each of several operands what an error is divided by at least; 0 mostly."""
        ...

    def error(self, answer: Array, right: Array, scale: float) -> float:
        """Return how far an answer is from the right one, relative to its largest element.

        Args:
            answer: (N, H, W, F).
            right: (N, H, W, F).
            scale: of `scales`.
        """
        ...

    @property
    def tolerance(self) -> float:
        """Return the largest such error of a kernel that is right."""
        ...
