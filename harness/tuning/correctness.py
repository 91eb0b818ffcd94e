"""Holds a tuned kernel against its definition."""

from __future__ import annotations

from facebench.architectures.errors import WrongAnswerError
from facebench.harness.compiler.tiling import Tiling
from facebench.harness.compiler.workload import Workload, key
from facebench.harness.tuning.costs import TilingCost


def require(cost: TilingCost, work: Workload, tiling: Tiling) -> None:
    """See that a kernel computes its workload, on random and on extreme operands.

    Raises:
        WrongAnswerError: it does not; the message names the kernel and the operands.
        LostError: the device answers no more.
    """
    kernels = cost.kernels
    named = {"random": kernels.random(work), **dict(kernels.extreme(work))}
    answers = cost.outputs(work, tiling, list(named.values()))
    expected = kernels.defined(work, list(named.values()))
    scales = kernels.scales(work, tiling, list(named.values()))
    for name, answer, right, scale in zip(named, answers, expected, scales, strict=True):
        error = kernels.error(answer, right, scale)
        if not error <= kernels.tolerance:
            raise WrongAnswerError(
                f"the kernel of '{key(work)}' with {tiling} differs from its definition by "
                f"{error:.1e} of the largest element on {name} operands: it is not used"
            )
