"""Holds a tuned kernel against its definition."""

from __future__ import annotations

import numpy as np
import tvm

from facebench.architectures.errors import WrongAnswerError
from facebench.harness.compiler.definition import definition
from facebench.harness.compiler.tiling import Tiling
from facebench.harness.compiler.workload import Workload, key
from facebench.harness.stats.arrays import FloatArray
from facebench.harness.tuning import operands
from facebench.harness.tuning.costs import TilingCost
from facebench.harness.tuning.operands import Operands

# Relative to the largest element: the order of sums differs, and so does their rounding.
TOLERANCE = 1e-5


def require(cost: TilingCost, work: Workload, tiling: Tiling) -> None:
    """See that a kernel computes its workload, on random and on extreme operands.

    Raises:
        WrongAnswerError: it does not; the message names the kernel and the operands.
        LostError: the device answers no more.
    """
    named = {"random": operands.random(work), **dict(operands.extreme(work))}
    answers = cost.outputs(work, tiling, list(named.values()))
    expected = _defined(work, list(named.values()))
    for name, answer, right in zip(named, answers, expected, strict=True):
        error = relative_error(answer, right)
        if not error <= TOLERANCE:
            raise WrongAnswerError(
                f"the kernel of '{key(work)}' with {tiling} differs from its definition by "
                f"{error:.1e} of the largest element on {name} operands: it is not used"
            )


def relative_error(answer: FloatArray, right: FloatArray) -> float:
    """Return the largest difference of two maps by the largest element of the right one.

    Args:
        answer: of any shape.
        right: of the same shape.

    Returns:
        0 or more; 0 where both hold next to nothing.

    Denormal numbers have few digits, so that nothing is said below the smallest normal one.
    """
    least = float(np.finfo(np.float32).smallest_normal)
    difference = np.abs(answer.astype(np.float64) - right).max()
    return float(max(difference - least, 0.0) / max(np.abs(right).max(), least))


def _defined(work: Workload, given: list[Operands]) -> list[FloatArray]:
    """Return what the definition gives on this machine."""
    named = definition(work).with_attr("global_symbol", "definition")
    built = tvm.tirx.build(tvm.IRModule({"definition": named}), target="llvm", pipeline="s_tir")
    results = []
    for one in given:
        output = tvm.runtime.tensor(np.zeros(operands.output_shape(work), np.float32))
        arguments = one.arguments(lambda weights: weights)
        built["definition"](*map(tvm.runtime.tensor, arguments), output)
        results.append(output.numpy())
    return results
