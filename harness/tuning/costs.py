"""What a search asks of a device: what tilings cost there, and what their kernels give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from facebench.architectures.errors import WrongAnswerError
from facebench.harness.compiler.tiling import Tiling
from facebench.harness.compiler.workload import Workload
from facebench.harness.tuning.kernels import Array, SearchedKernels


@dataclass(frozen=True)
class Failure:
    """Why a tiling has no cost."""

    reason: str


class TilingCost(Protocol):
    """Where kernels are tried.

    Attributes:
        kernels: that are tried.
        unit: of a cost: `seconds` or `cycles`.
        how: how costs are obtained, for records, such as `measured on <CPU model>`.
        exact: whether a tiling costs the same each time, whatever is measured beside it.
    """

    @property
    def kernels(self) -> SearchedKernels: ...  # noqa: D102

    @property
    def unit(self) -> str: ...  # noqa: D102  # the class says it

    @property
    def how(self) -> str: ...  # noqa: D102

    @property
    def exact(self) -> bool: ...  # noqa: D102

    def measure_all(self, work: Workload, tilings: Sequence[Tiling]) -> list[float | Failure]:
        """Return what each tiling costs on one thread, in order.

        Costs of one call can be compared with each other, whatever else the machine
        does meanwhile; those of two calls less so. The first is what the others are
        held against: where noise leaves a doubt, it is the cheaper.

        Raises:
            LostError: the device answers no more.
        """
        ...

    def cheaper(self, work: Workload, one: Tiling, other: Tiling, ratio: float) -> bool:
        """Say whether a tiling that was measured is believed to cost less than another.

        Args:
            ratio: of the first one's cost to the other's, measured beside each other.
        """
        ...

    def outputs(self, work: Workload, tiling: Tiling, given: Sequence[Any]) -> list[Array]:
        """Return what the kernel gives for each of several of its operands, (N, H, W, F).

        Raises:
            WrongAnswerError: it gives nothing: it could not be built, or crashed.
            LostError: the device answers no more.
        """
        ...


def all_or_each(
    measure: Callable[[Sequence[Tiling]], list[float]], tilings: Sequence[Tiling]
) -> list[float | Failure]:
    """Measure tilings at once; or each by itself where one of them spoils it for all.

    Args:
        measure: gives their costs, in order, or raises `WrongAnswerError`.
        tilings: not empty.
    """
    try:
        return [*measure(tilings)]
    except WrongAnswerError as error:
        if len(tilings) == 1:
            return [Failure(str(error))]
        return [cost for tiling in tilings for cost in all_or_each(measure, [tiling])]
