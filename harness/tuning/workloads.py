"""The workloads of a network: what there is to tune."""

from __future__ import annotations

from facebench.harness.compiler.fold import fold_constants
from facebench.harness.compiler.graph.rewrite import rewrite
from facebench.harness.compiler.importing import import_network
from facebench.harness.compiler.kernels.provider import Kernels
from facebench.harness.compiler.vectors import Vectors
from facebench.harness.compiler.workload import Convolution, Depthwise, Pooling, Workload
from facebench.harness.models.export import Exported


def workloads(exported: Exported, batch: int, vectors: Vectors) -> list[Workload]:
    """Return each once, in the order in which the network runs them.

    Raises:
        BadInputError: TVM cannot import the network.
    """
    kernels = Kernels(vectors, lambda work: None)
    rewrite(fold_constants(import_network(exported, batch)), kernels)
    return list(kernels.schedules)


def in_short(work: Workload) -> str:
    """Return a workload for people.

    Example:
        in_short(work) == "depthwise 3x3/2 56x56 128"
    """
    rows, columns = work.window.kernel
    size = f"{work.output[0]}x{work.output[1]}"
    if isinstance(work, Pooling):
        kind, channels = f"{work.kind} pooling", str(work.channels)
    elif isinstance(work, Depthwise):
        kind, channels = "depthwise", str(work.channels)
    else:
        kind = "pointwise" if work.window.taps == 1 else "convolution"
        kind += f" g={work.groups}" if work.groups > 1 else ""
        channels = f"{work.channels}->{work.filters}"
    window = "" if isinstance(work, Convolution) and work.window.taps == 1 else f"{rows}x{columns}"
    stride = "" if work.window.stride == (1, 1) else f"/{work.window.stride[0]}"
    words = (kind, window + stride, size, channels, *work.epilogue)
    return " ".join(word for word in words if word)
