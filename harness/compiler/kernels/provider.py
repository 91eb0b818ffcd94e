"""Provides the kernels of a module under construction: one function for each workload in it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from tvm import relax, tirx

from facebench.harness.compiler import half_sums
from facebench.harness.compiler.graph.rewrite import Kernel
from facebench.harness.compiler.kernels import convolution, depthwise, strassen
from facebench.harness.compiler.kernels.strassen import StrassenTiling
from facebench.harness.compiler.tiling import Tiling, best
from facebench.harness.compiler.vectors import Vectors
from facebench.harness.compiler.workload import Convolution, Depthwise, Workload, key, name

# TVM's class of functions that it fuses with no other.
OPAQUE = 8

# The attribute by which functions are known as kernels of ours.
KERNEL = "kernel"

# The tiling of a workload's tuning record, where there is one.
Records = Callable[[Workload], Tiling | None]


class Kernels:
    """Makes each workload's function once.

    Attributes:
        schedules: for each workload of the module, whether its tiling was "tuned" or,
            by the model, "scheduled".
    """

    def __init__(self, vectors: Vectors, records: Records) -> None:
        self.schedules: dict[Workload, str] = {}
        self._vectors = vectors
        self._records = records
        self._made: dict[Workload, Kernel] = {}

    def __call__(self, builder: relax.BlockBuilder, work: Workload) -> Kernel:
        """Return the kernel of a workload, in the module that `builder` makes."""
        if work not in self._made:
            tuned = self._records(work)
            self.schedules[work] = "scheduled" if tuned is None else "tuned"
            self._made[work] = self._make(builder, work, tuned or best(work, self._vectors))
        return self._made[work]

    def _make(self, builder: relax.BlockBuilder, work: Workload, tiling: Tiling) -> Kernel:
        attributes = {"op_pattern": OPAQUE, KERNEL: key(work)}
        made = function(work, tiling, self._vectors).with_attrs(attributes)
        variable = builder.add_func(made, name(work))
        return Kernel(variable, packing(work, tiling, self._vectors))


def is_kernel(function: tirx.PrimFunc) -> bool:
    """Return whether a function is a kernel of ours."""
    return bool(function.attrs) and KERNEL in function.attrs


@lru_cache(maxsize=1024)
def function(work: Workload, tiling: Any, vectors: Vectors) -> tirx.PrimFunc:
    """Return a workload's kernel with a tiling."""
    vectors = half_sums.registers(work, vectors)
    if isinstance(work, Convolution) and isinstance(tiling, StrassenTiling):
        return strassen.emit_strassen(work, tiling, vectors)
    if isinstance(work, Convolution):
        return convolution.emit_convolution(work, tiling, vectors)
    if isinstance(work, Depthwise):
        return depthwise.emit_depthwise(work, tiling, vectors)
    return depthwise.emit_pooling(work, tiling, vectors)


def packing(work: Workload, tiling: Any, vectors: Vectors) -> Callable[[Any], Any]:
    """Return how the kernel wants its weights; a pooling has none."""
    vectors = half_sums.registers(work, vectors)
    pack: Callable[..., Any] = depthwise.pack
    if isinstance(work, Convolution):
        pack = strassen.pack if isinstance(tiling, StrassenTiling) else convolution.pack
    return partial(pack, work, tiling, vectors)
