"""The workloads of a network: what there is to tune."""

from __future__ import annotations

import numpy as np

from facebench.harness.compiler.fold import fold_constants
from facebench.harness.compiler.graph.rewrite import rewrite
from facebench.harness.compiler.importing import import_network
from facebench.harness.compiler.integers.module import module
from facebench.harness.compiler.kernels.provider import Kernels
from facebench.harness.compiler.vectors import ByteVectors, Registers
from facebench.harness.compiler.workload import Convolution, Depthwise, Pooling, Shifted, Workload
from facebench.harness.models.export import Exported
from facebench.harness.models.integer_network.quantizing import integer_network


def workloads(exported: Exported, batch: int, registers: Registers) -> list[Workload]:
    """Return each once, in the order in which the network runs them, in the registers' precision.

    Raises:
        BadInputError: TVM cannot import the network.
        RefusedError: it cannot be computed in the precision.
    """
    if isinstance(registers, ByteVectors):
        return _of_integers(exported, batch, registers)
    kernels = Kernels(registers, lambda work: None)
    rewrite(fold_constants(import_network(exported, batch)), kernels, registers.element)
    return list(kernels.schedules)


def _of_integers(exported: Exported, batch: int, registers: ByteVectors) -> list[Workload]:
    """Return workloads of a network of integers, whose ranges do not matter."""
    size = exported.facts()["input_size"]
    noise = np.random.default_rng(0).uniform(-1, 1, (1, 3, *size)).astype(np.float32)
    found: dict[Workload, None] = {}
    module(integer_network(exported, noise), batch, registers, lambda work: found.setdefault(work))
    return list(found)


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
        name = "shifted" if isinstance(work, Shifted) else "convolution"
        kind = "pointwise" if work.window.taps == 1 else name
        kind += f" g={work.groups}" if work.groups > 1 else ""
        channels = f"{work.channels}->{work.filters}"
    window = "" if isinstance(work, Convolution) and work.window.taps == 1 else f"{rows}x{columns}"
    stride = "" if work.window.stride == (1, 1) else f"/{work.window.stride[0]}"
    words = (kind, window + stride, size, channels, *work.epilogue)
    return " ".join(word for word in words if word)
