"""What comes of a case: one class of figures a measure.

Raw samples and counts are kept; statistics are properties of them. This module
needs neither torch nor TVM.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from facebench.harness.machine.conditions import Conditions
from facebench.harness.records.accuracy import Accuracy, Identification, OperatingPoint
from facebench.harness.records.denormals import Denormals
from facebench.harness.records.instructions import Cycles, Instructions
from facebench.harness.records.latency import Latency, Process
from facebench.harness.records.layers import LayerTimes
from facebench.harness.records.receptive_fields import Fields
from facebench.harness.stats.intervals import median_interval

__all__ = [
    "RESULTS",
    "Accuracy",
    "Compilation",
    "Cost",
    "Cycles",
    "Denormals",
    "Export",
    "Fields",
    "Identification",
    "Instructions",
    "Latency",
    "LayerCost",
    "LayerTimes",
    "OperatingPoint",
    "Process",
    "Result",
    "Throughput",
]


@dataclass(frozen=True)
class Export:
    """An ONNX file made from a network.

    Attributes:
        opset: version of ONNX's operators.
        size_bytes: of the file.
        output_error: largest difference from torch's outputs over random and
            extreme inputs, relative to their largest element.
    """

    opset: int
    size_bytes: int
    output_error: float


@dataclass(frozen=True)
class LayerCost:
    """Cost of one operator of the network as trained: BN and activations are layers too.

    `madds` and `activations` are counted as in `Cost`; a parameter that
    several layers share counts at the first.
    """

    name: str
    operator: str
    output_shape: tuple[int, ...]
    parameters: int
    madds: dict[str, int]
    activations: int


@dataclass(frozen=True)
class Cost:
    """Cost of one inference of one image; exact counts.

    Attributes:
        parameters: as trained, batch normalization's weight and bias included.
        parameters_bn_folded: batch normalization folded into the convolutions.
        madds: multiply-adds by convention: `conv+linear` (the paper's); `+bn`,
            two operations more for each element normalized; `+activation`, one
            more for each element of an activation function and of sums,
            differences, products and quotients of maps.
        activations: elements written by convolutions and linear layers, what
            follows them fused (arXiv 2003.13678).
        weight_bytes: read once an inference, fp32, BN folded.
        activation_bytes: read and written by all layers, fp32, BN and
            activations fused; additions, pooling, concatenation and
            transposition are layers of their own.
        peak_activation_bytes: the most held at once, fp32, in execution order,
            with the same fusion: what a layer reads, what it writes and what a
            later one needs, the image included.
        size_bytes: of the weights, BN folded, by precision (`fp32`, `fp16`, `int8`).
        input_size: height and width in pixels.
        embedding_size: elements of an embedding.
        layers: the same, layer by layer, in execution order.
    """

    parameters: int
    parameters_bn_folded: int
    madds: dict[str, int]
    activations: int
    weight_bytes: int
    activation_bytes: int
    peak_activation_bytes: int
    size_bytes: dict[str, int]
    input_size: tuple[int, ...]
    embedding_size: int
    layers: tuple[LayerCost, ...] = ()


@dataclass(frozen=True)
class Compilation:
    """A shared library made by TVM.

    Attributes:
        triple: LLVM's name of the target.
        elf_machine: architecture that the library's ELF header names.
        features: CPU features that the code was generated with.
        size_bytes: of the library.
        seconds: of lowering, code generation and linking.
        kernels: counts by how their schedule was found: `tuned`, `scheduled`, `plain`.
    """

    triple: str
    elf_machine: str
    features: tuple[str, ...]
    size_bytes: int
    seconds: float
    kernels: dict[str, int]


@dataclass(frozen=True)
class Throughput:
    """Images embedded a second, with as many single-threaded sessions as the case has threads.

    Attributes:
        rates: images a second in successive windows of time, after warm-up.
        label: as in `Latency`.
        reference_us: as in `Latency`, before, between and after the windows; empty in
            records before schema 6.
        fastest_us: as in `Process`.
        conditions: as in `Process`.
    """

    rates: tuple[float, ...]
    label: str = ""
    reference_us: tuple[float, ...] = ()
    fastest_us: float = 0.0
    conditions: Conditions | None = None

    @property
    def images_per_second(self) -> float:
        """Median of the windows."""
        return float(np.median(self.rates))

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of it, distribution-free; how processes differ is not in it."""
        return median_interval(self.rates)


Result = (
    Export
    | Cost
    | Compilation
    | Latency
    | Instructions
    | Cycles
    | Throughput
    | Accuracy
    | Identification
    | Denormals
    | LayerTimes
    | Fields
)
RESULTS: dict[str, type[Any]] = {
    "export": Export,
    "cost": Cost,
    "compile": Compilation,
    "latency": Latency,
    "instructions": Instructions,
    "cycles": Cycles,
    "throughput": Throughput,
    "accuracy": Accuracy,
    "identification": Identification,
    "denormals": Denormals,
    "layers": LayerTimes,
    "fields": Fields,
}
