"""Defines what an inference costs, counted exactly."""

from __future__ import annotations

from dataclasses import dataclass

from facebench.harness.records.results import Result


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
class Cost(Result):
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
