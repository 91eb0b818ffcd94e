"""Kernels in single and half precision, as a search needs them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import tvm
from tvm import tirx

from facebench.harness.compiler import tiling as tilings
from facebench.harness.compiler.activations import ACTIVATIONS
from facebench.harness.compiler.definition import definition
from facebench.harness.compiler.kernels import provider
from facebench.harness.compiler.kernels.strassen import StrassenTiling
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.compiler.tiling import Tiling
from facebench.harness.compiler.tvm import features_of, resolve
from facebench.harness.compiler.vectors import Vectors, half_vectors
from facebench.harness.compiler.workload import Workload
from facebench.harness.tuning import operands
from facebench.harness.tuning.kernels import Array
from facebench.harness.tuning.operands import RealOperands, output_shape

# Relative to the largest element: the order of sums differs, and so does their rounding.
TOLERANCE = 1e-5


@dataclass(frozen=True)
class RealKernels:
    """It is `kernels.SearchedKernels` of numbers in single or half precision, maps (N, H, W, C)."""

    registers: Vectors

    @property
    def tolerance(self) -> float:
        """Return 0 for half precision, whose sums are defined to the last bit."""
        return TOLERANCE if self.registers.precision == "fp32" else 0.0

    def tilings(self, work: Workload) -> list[Tiling]:
        """See `SearchedKernels`."""
        every = tilings.candidates(work, self.registers)
        return sorted(every, key=lambda one: tilings.cost(work, one, self.registers))

    def function(self, work: Workload, tiling: Tiling) -> tirx.PrimFunc:
        """See `SearchedKernels`."""
        return provider.function(work, tiling, self.registers)

    def random(self, work: Workload) -> RealOperands:
        """See `SearchedKernels`."""
        return self._of_type(operands.random(work))

    def extreme(self, work: Workload) -> Iterator[tuple[str, RealOperands]]:
        """See `SearchedKernels`; half precision holds fewer numbers than single."""
        for word, given in operands.extreme(work, largest=1e15 if self._single else 1e3):
            yield word, self._of_type(given)

    def arguments(self, work: Workload, tiling: Tiling, given: RealOperands) -> list[Array]:
        """See `SearchedKernels`."""
        return given.arguments(provider.packing(work, tiling, self.registers))

    def output(self, work: Workload) -> Array:
        """See `SearchedKernels`."""
        return np.zeros(output_shape(work), self.registers.element)

    def defined(self, work: Workload, given: Sequence[RealOperands]) -> list[Array]:
        """See `SearchedKernels`; half precision by a tested kernel in single."""
        target: Any = "llvm"
        if self._single:
            function, packed = definition(work), [one.arguments(lambda w: w) for one in given]
        else:
            target = tvm.target.Target(resolve(TARGETS["host"]).options())
            chosen = tilings.best(work, self._here)
            function = provider.function(work, chosen, self._here)
            pack = provider.packing(work, chosen, self._here)
            packed = [one.arguments(pack) for one in given]
        named = function.with_attr("global_symbol", "definition")
        built = tvm.tirx.build(tvm.IRModule({"definition": named}), target=target, pipeline="s_tir")
        results = []
        for arguments in packed:
            output = tvm.runtime.tensor(self.output(work))
            built["definition"](*map(tvm.runtime.tensor, arguments), output)
            results.append(output.numpy())
        return results

    def scales(self, work: Workload, tiling: Tiling, given: Sequence[RealOperands]) -> list[float]:
        """See `SearchedKernels`: the largest sums, where errors are theirs and the output is less.

        With seven products in place of eight an error is bounded by the largest sum, which an
        output that ReLU6 or another activation bounds does not show.
        """
        bounded = {"relu6", *ACTIVATIONS} & set(work.epilogue)
        if not isinstance(tiling, StrassenTiling) or not bounded:
            return [0.0] * len(given)
        bare = [replace(one, slopes=None, added=None) for one in given]
        sums = self.defined(replace(work, epilogue=()), bare)
        return [float(np.abs(one).max()) for one in sums]

    def error(self, answer: Array, right: Array, scale: float) -> float:
        """See `SearchedKernels`."""
        if self._single:
            return relative_error(answer, right, scale)
        return 0.0 if np.array_equal(answer, right, equal_nan=True) else np.inf

    @property
    def _single(self) -> bool:
        return self.registers.precision == "fp32"

    @cached_property
    def _here(self) -> Vectors:
        """Return this machine's registers, with which it computes half precision in single."""
        host = resolve(TARGETS["host"])
        features = features_of(host, tvm.target.Target(host.options()))
        return replace(half_vectors(host.triple, features), in_single=True)

    def _of_type(self, given: RealOperands) -> RealOperands:
        return given if self._single else given.astype(self.registers.element)


def relative_error(answer: Array, right: Array, scale: float = 0.0) -> float:
    """Return the largest difference of two maps by the largest element of the right one.

    Args:
        answer: of any shape.
        right: of the same shape.
        scale: what is divided by where the largest element is smaller.

    Returns:
        0 or more; 0 where both hold next to nothing.

    Denormal numbers have few digits, so that nothing is said below the smallest normal one.
    """
    least = float(np.finfo(np.float32).smallest_normal)
    difference = np.abs(answer.astype(np.float64) - right).max()
    return float(max(difference - least, 0.0) / max(np.abs(right).max(), scale, least))
