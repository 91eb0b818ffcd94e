"""Says which of half precision's sums are in single precision."""

from __future__ import annotations

from dataclasses import replace

from facebench.harness.compiler.vectors import Vectors
from facebench.harness.compiler.workload import Pooling, Workload


def registers(work: Workload, vectors: Vectors) -> Vectors:
    """Return the registers that a workload is computed in.

    Args:
        work: of a network.
        vectors: the registers of its kernels, in any precision.
    """
    if vectors.element != "float16" or vectors.widened or not in_single(work):
        return vectors
    lanes = vectors.lanes if vectors.in_single else vectors.lanes // 2
    return replace(vectors, lanes=lanes, in_single=False, directed=False, widened=True)


def in_single(work: Workload) -> bool:
    """Return whether a workload's sums are in single precision: those of a map of one pixel.

    So are a network's last ones: what is pooled over the last map, and the embedding. They have
    the most terms, hundreds, nothing behind them makes their errors smaller, and they are few.
    """
    return work.output == (1, 1) and not (isinstance(work, Pooling) and work.kind == "max")
