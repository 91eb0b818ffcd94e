"""A device whose costs a test decides, and whose kernels run in this process."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tvm

from facebench.harness.compiler.targets import TARGETS
from facebench.harness.compiler.tiling import Tiling
from facebench.harness.compiler.tvm import resolve
from facebench.harness.compiler.vectors import Vectors
from facebench.harness.compiler.workload import Depthwise, Window, Workload
from facebench.harness.tuning.costs import Failure
from facebench.harness.tuning.kernels import Array, SearchedKernels
from facebench.harness.tuning.real_kernels import RealKernels

# Vectors that LLVM takes apart for any machine.
REGISTERS = Vectors(4, 16, by_lane=False)
HOST = tvm.target.Target(resolve(TARGETS["host"]).options())
KERNELS: SearchedKernels = RealKernels(REGISTERS)
WORK = Depthwise(1, (6, 6), (6, 6), 12, Window((3, 3), (1, 1), (1, 1)), epilogue=("relu",))


class FakeCost:
    """See `costs.TilingCost`.

    Attributes:
        asked: tilings of each call.
    """

    unit = "seconds"
    how = "made up"

    def __init__(
        self,
        cost: Callable[[Tiling], float | Failure],
        noise: float = 0.01,
        exact: bool = False,
        wrong: Sequence[Tiling] = (),
        kernels: SearchedKernels = KERNELS,
    ) -> None:
        self.kernels = kernels
        self.exact = exact
        self.asked: list[list[Tiling]] = []
        self._cost = cost
        self._noise = noise
        self._wrong = wrong

    def measure_all(self, work: Workload, tilings: Sequence[Tiling]) -> list[float | Failure]:
        self.asked.append(list(tilings))
        return [self._cost(tiling) for tiling in tilings]

    def cheaper(self, work: Workload, one: Tiling, other: Tiling, ratio: float) -> bool:
        return ratio < 1 - self._noise

    def outputs(self, work: Workload, tiling: Tiling, given: Sequence[Any]) -> list[Array]:
        made = self.kernels.function(work, tiling).with_attr("global_symbol", "kernel")
        built = tvm.tirx.build(tvm.IRModule({"kernel": made}), target=HOST, pipeline="s_tir")
        outputs = []
        for one in given:
            arguments = self.kernels.arguments(work, tiling, one)
            output = tvm.runtime.tensor(self.kernels.output(work))
            built["kernel"](*map(tvm.runtime.tensor, arguments), output)
            answer = output.numpy()
            if tiling in self._wrong:
                answer = answer * np.float32(1.001) if answer.dtype == np.float32 else answer ^ 1
            outputs.append(answer)
        return outputs
