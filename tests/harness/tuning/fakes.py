"""A device whose costs a test decides, and whose kernels run in this process."""

from collections.abc import Callable, Sequence

import numpy as np
import tvm

from facebench.harness.compiler.kernels.provider import function, packing
from facebench.harness.compiler.tiling import Tiling
from facebench.harness.compiler.vectors import Vectors
from facebench.harness.compiler.workload import Depthwise, Window, Workload
from facebench.harness.stats.arrays import FloatArray
from facebench.harness.tuning.costs import Failure
from facebench.harness.tuning.operands import Operands, output_shape

# Vectors that LLVM takes apart for any machine.
REGISTERS = Vectors(4, 16, by_lane=False)
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
        wrong: Sequence[Tiling] = (),
    ) -> None:
        self.noise = noise
        self.asked: list[list[Tiling]] = []
        self._cost = cost
        self._wrong = wrong

    def measure_all(self, work: Workload, tilings: Sequence[Tiling]) -> list[float | Failure]:
        self.asked.append(list(tilings))
        return [self._cost(tiling) for tiling in tilings]

    def outputs(
        self, work: Workload, tiling: Tiling, given: Sequence[Operands]
    ) -> list[FloatArray]:
        made = function(work, tiling, REGISTERS).with_attr("global_symbol", "kernel")
        built = tvm.tirx.build(tvm.IRModule({"kernel": made}), target="llvm", pipeline="s_tir")
        pack = packing(work, tiling, REGISTERS)
        outputs = []
        for one in given:
            output = tvm.runtime.tensor(np.zeros(output_shape(work), np.float32))
            built["kernel"](*map(tvm.runtime.tensor, one.arguments(pack)), output)
            factor = np.float32(1.001 if tiling in self._wrong else 1)
            outputs.append(output.numpy() * factor)
        return outputs
