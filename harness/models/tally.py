"""Adds up what an inference costs, whichever graph is walked: torch's trace or an ONNX file's.

Multiply-adds are counted under three conventions, each including the one before:

    conv+linear: multiply-adds of convolutions and matrix products, biases left
        out. The paper's (arXiv 1804.07573).
    +bn: and two operations for each element of a batch or layer normalization.
    +activation: and one for each element of an activation function, and of a
        sum, difference, product, quotient or maximum of maps, or of a choice between
        them, such as a residual addition or a gate.

Pooling, interpolation, other reductions, comparisons, concatenation and copies count nothing. Nor
does what does not depend on the image, such as a convolution of a table of positions: it is worked
out once, when the network is exported, and is no part of an inference. A counter that follows one
pass of torch, such as `torch.utils.flop_counter`, counts it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from math import prod

from facebench.harness.records.cost import Cost, LayerCost

CONVENTIONS = ("conv+linear", "+bn", "+activation")
BYTES = {"fp32": 4, "fp16": 2, "int8": 1}


class Role(Enum):
    """It says what an operator does to memory."""

    LAYER = "writes its output; convolutions and matrix products"
    FUSED = "rewrites its input in place, in the same pass as the layer before it"
    OTHER = "writes its output"
    VIEW = "writes nothing"


@dataclass(frozen=True)
class Map:
    """A map is a value that depends on the image, of so many elements, read so many times."""

    name: str
    elements: int
    readers: int = 0


@dataclass(frozen=True)
class FusedLayer:
    """It is one layer of the fused network: elements moved, and the buffers it needs."""

    read: int
    written: int
    buffers: tuple[str, ...]


@dataclass
class CostTally:
    """It is what one walk over a network's operators found, in execution order.

    Attributes:
        layers: all operators but views.
        steps: layers that stay apart where BN and activations are fused.
        sizes: elements of each buffer that holds activations.
        parameters: elements of each parameter tensor that is read.
        buffers: of each value that depends on the input, the buffers it lies in.
        whole: values that are all of their buffer.
    """

    layers: list[LayerCost] = field(default_factory=list)
    steps: list[FusedLayer] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    parameters: dict[str, int] = field(default_factory=dict)
    buffers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)

    def add_image(self, image: Map) -> None:
        """Take in the input, which lies in a buffer of its own."""
        self.sizes[image.name] = image.elements
        self.buffers[image.name] = (image.name,)

    def place(self, role: Role, read: Sequence[Map], output: Map) -> None:
        """Find the buffer of an output: its input's own, or a new one."""
        held = self.lie_in(one.name for one in read)
        if role is Role.VIEW or (role is Role.FUSED and self._is_fusible(read)):
            self.buffers[output.name] = held
        else:
            self.buffers[output.name] = (output.name,)
            self.sizes[output.name] = output.elements
            moved = sum(one.elements for one in read)
            self.steps.append(FusedLayer(moved, output.elements, (*held, output.name)))
        if role is not Role.VIEW:
            self.whole.add(output.name)

    def _is_fusible(self, read: Sequence[Map]) -> bool:
        """Nobody else reads the one input, and it is not the image, which may not change."""
        return len(read) == 1 and read[0].name in self.whole and read[0].readers == 1

    def add_layer(
        self,
        name: str,
        operator: str,
        role: Role,
        shape: tuple[int, ...],
        parameters: dict[str, int],
        operations: int,
        convention: str,
    ) -> None:
        """Take in an operator that counts `operations` from `convention` on.

        `parameters` are the tensors that it reads; one that is known already counts nothing.
        """
        new = {one: size for one, size in parameters.items() if one not in self.parameters}
        self.parameters |= new
        start = CONVENTIONS.index(convention)
        self.layers.append(
            LayerCost(
                name=name,
                operator=operator,
                output_shape=shape,
                parameters=sum(new.values()),
                madds={c: operations * (i >= start) for i, c in enumerate(CONVENTIONS)},
                activations=prod(shape) if role is Role.LAYER else 0,
            )
        )

    def lie_in(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the buffers in which these values lie, each once."""
        return tuple(dict.fromkeys(b for name in names for b in self.buffers.get(name, ())))

    def peak(self) -> int:
        """Return the most elements held at once.

        A buffer lives from the first step that needs it to the last.
        """
        last = {buffer: i for i, step in enumerate(self.steps) for buffer in step.buffers}
        first = {b: i for i, step in reversed([*enumerate(self.steps)]) for b in step.buffers}
        held = (
            sum(size for buffer, size in self.sizes.items() if first[buffer] <= i <= last[buffer])
            for i in range(len(self.steps))
        )
        return max(held, default=0)  # what only flattens has no steps


def cost(
    trained: CostTally,
    folded: CostTally,
    parameters: int,
    input_size: tuple[int, int],
    embedding_size: int,
) -> Cost:
    """Return the cost of a network walked twice: as trained, and with BN folded.

    Args:
        trained: the walk over it as it is; multiply-adds and activations are its own.
        folded: the walk with batch normalization folded; sizes and bytes are its own.
        parameters: as trained.
        input_size: height and width in pixels.
        embedding_size: elements of an embedding.
    """
    parameters_folded = sum(folded.parameters.values())
    return Cost(
        parameters=parameters,
        parameters_bn_folded=parameters_folded,
        madds={name: sum(layer.madds[name] for layer in trained.layers) for name in CONVENTIONS},
        activations=sum(layer.activations for layer in trained.layers),
        weight_bytes=BYTES["fp32"] * parameters_folded,
        activation_bytes=BYTES["fp32"] * sum(step.read + step.written for step in folded.steps),
        peak_activation_bytes=BYTES["fp32"] * folded.peak(),
        size_bytes={name: width * parameters_folded for name, width in BYTES.items()},
        input_size=input_size,
        embedding_size=embedding_size,
        layers=tuple(trained.layers),
    )
