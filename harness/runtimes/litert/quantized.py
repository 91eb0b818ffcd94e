"""Reads a graph whose numbers are quantized (QDQ): which operators compute in int8, and how.

Such a graph says in real numbers what is computed, and with QuantizeLinear and DequantizeLinear
between which of them are 8-bit integers. An operator that reads integers alone, and whose answer is
made integers at once, computes in int8 where LiteRT has a kernel for it; all others compute
in single precision, between the two.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from facebench.harness.models.onnx_cost.graph import OnnxGraph, Operator
from facebench.harness.runtimes.litert.flatbuffer import Quantization

Arrays = dict[str, npt.NDArray[np.generic]]

# Operators whose integers stand for the same numbers before and after.
_SAME = frozenset({
    "AveragePool", "Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "MaxPool", "Pad",
    "Reshape", "Resize", "Slice", "SpaceToDepth", "Split", "Squeeze", "Transpose", "Unsqueeze",
})  # fmt: skip

# Others that have a kernel, whatever their scales and attributes.
_ANY = frozenset({"Add", "GlobalAveragePool", "LeakyRelu", "Mul", "ReduceMean", "Relu", "Sub"})

# What LiteRT wants the answers between 0 and 1 of these to stand for.
_SHARES = frozenset({"Sigmoid", "Softmax"})
_OF_SHARES = Quantization((1 / 256,), -128)

_ACTIVATIONS = frozenset({"Clip", "Relu"})

# LiteRT's integers are int8: a zero of uint8 is so many more.
_UNSIGNED_ZERO = 128


@dataclass
class Quantized:
    """It is a graph in which operators read and give integers where they compute with them.

    Attributes:
        graph: what is left of QuantizeLinear and DequantizeLinear stands before and after what
            computes in single precision; `Requantize` makes integers of others.
        arrays: constants, by their names.
        quantizations: of the values that are int8, and of constants.
    """

    graph: OnnxGraph
    arrays: Arrays
    quantizations: dict[str, Quantization] = field(default_factory=dict)


def quantized(graph: OnnxGraph, arrays: Arrays) -> Quantized:
    """Return a graph with its integers; one without any as it is."""
    if not any(one.kind in ("QuantizeLinear", "DequantizeLinear") for one in graph.operators):
        return Quantized(graph, arrays)
    return _Reading(graph, arrays).done()


class _Reading:
    def __init__(self, graph: OnnxGraph, arrays: Arrays) -> None:
        self.graph = graph
        self.arrays = dict(arrays)
        self.quantizations: dict[str, Quantization] = {}
        self.shapes = dict(graph.shapes)
        self.alias: dict[str, str] = {}
        self.gone: set[str] = set()
        self.made: list[Operator] = []
        self.readers: dict[str, list[Operator]] = defaultdict(list)
        for one in graph.operators:
            for name in one.inputs:
                self.readers[name].append(one)

    def done(self) -> Quantized:
        for one in self.graph.operators:
            if one.kind == "QuantizeLinear":
                self.quantizations[one.output] = self._quantization(one)
        for one in self.graph.operators:
            if one.kind == "DequantizeLinear" and one.inputs[0] in self.arrays:
                self._dequantize(one)
        for one in self.graph.operators:
            if one.output not in self.gone:
                self._add(one)
        operators = [self._renamed(one) for one in self.made]
        graph = replace(
            self.graph, operators=_needed(operators, self.graph.output), shapes=self.shapes
        )
        return Quantized(graph, self.arrays, self.quantizations)

    def _quantization(self, one: Operator) -> Quantization:
        """Return what a QuantizeLinear or DequantizeLinear says."""
        scales = self.arrays[one.inputs[1]].reshape(-1).astype(np.float32)
        zero = self.arrays[one.inputs[2]] if len(one.inputs) > 2 else np.zeros(1, np.uint8)
        shift = _UNSIGNED_ZERO if zero.dtype == np.uint8 else 0
        axis = one.attributes.get("axis", 1) if len(scales) > 1 else 0
        return Quantization(tuple(map(float, scales)), int(zero.reshape(-1)[0]) - shift, axis)

    def _dequantize(self, one: Operator) -> None:
        """Keep a constant both as real numbers and as the integers that stand for them."""
        stored = self.arrays[one.inputs[0]]
        zeros = self.arrays[one.inputs[2]] if len(one.inputs) > 2 else np.zeros(1)
        axis = one.attributes.get("axis", 1)
        shape = [-1 if i == axis % max(stored.ndim, 1) else 1 for i in range(stored.ndim)]
        scale, zero = (
            each.reshape(shape) if each.size > 1 else each.reshape(())
            for each in (self.arrays[one.inputs[1]], zeros)
        )
        real = (stored.astype(np.float64) - zero.astype(np.float64)) * scale.astype(np.float64)
        self.arrays[one.output] = real.astype(np.float32)
        if stored.dtype == np.uint8:
            self.arrays[one.inputs[0]] = (stored.astype(np.int16) - _UNSIGNED_ZERO).astype(np.int8)
        if not np.asarray(zeros).any() or np.size(zeros) == 1:
            self.quantizations[one.inputs[0]] = self._quantization(one)

    def _add(self, one: Operator) -> None:
        inputs = self._integers(one)
        activation = self._activation(one)
        ends = (activation.output,) if activation else one.outputs
        made = [self._made_integers(name) for name in ends]
        if not inputs or not all(made) or not self._fits(one, inputs, made):
            if one.output not in self.arrays:
                self.made.append(one)
            return
        for name, integers in zip(ends, made, strict=True):
            self._replace_quantizers(name, integers)
        if activation is None:
            self._add_integers(replace(one, inputs=inputs, output=made[0], outputs=tuple(made)))
            return
        self.gone.add(activation.output)
        self.quantizations[one.output] = self.quantizations[made[0]]
        self._add_integers(replace(one, inputs=inputs))
        given = (one.output, *activation.inputs[1:])
        self.made.append(replace(activation, inputs=given, output=made[0], outputs=(made[0],)))

    def _replace_quantizers(self, name: str, integers: str) -> None:
        """Leave out what makes integers of a value that is integers by itself."""
        for reader in self.readers[name]:
            self.gone.add(reader.output)
            self.alias[reader.output] = integers

    def _integers(self, one: Operator) -> tuple[str, ...]:
        """Return the inputs as integers; none where one is of real numbers."""
        inputs = []
        for name in one.inputs:
            maker = self.graph.makers.get(name)
            if maker is not None and maker.kind == "DequantizeLinear":
                inputs.append(maker.inputs[0])
            elif not name or self._is_setting(one, name):
                inputs.append(name)
            else:
                return ()
        return tuple(inputs) if inputs and inputs[0] in self.quantizations else ()

    def _is_setting(self, one: Operator, name: str) -> bool:
        """Say whether a constant says how, not what: a shape, or a limit."""
        array = self.arrays.get(name)
        return array is not None and (array.dtype.kind == "i" or one.kind in _ACTIVATIONS)

    def _activation(self, one: Operator) -> Operator | None:
        """Return the activation after an operator that nothing else reads."""
        readers = self.readers[one.output]
        alone = len(readers) == 1 and len(one.outputs) == 1 and one.output != self.graph.output
        return readers[0] if alone and readers[0].kind in _ACTIVATIONS else None

    def _made_integers(self, name: str) -> str:
        """Return the integers that all who read a value want; nothing where they differ."""
        readers = self.readers[name]
        if not readers or name == self.graph.output:
            return ""
        if any(one.kind != "QuantizeLinear" for one in readers):
            return ""
        first, *others = (one.output for one in readers)
        if any(self.quantizations[one] != self.quantizations[first] for one in others):
            return ""
        return first

    def _fits(self, one: Operator, inputs: tuple[str, ...], made: list[str]) -> bool:
        """Say whether LiteRT has a kernel for an operator of such integers."""
        if one.kind in _PRODUCTS:
            return _PRODUCTS[one.kind](self, one, inputs)
        if one.kind in _SHARES:
            return self.quantizations[made[0]] == _OF_SHARES
        if one.kind == "AveragePool":
            pads, up = one.attributes.get("pads", [0]), one.attributes.get("ceil_mode", 0)
            return not up and (not any(pads) or bool(one.attributes.get("count_include_pad", 0)))
        if one.kind == "Pad":
            return len(inputs) < 3 or not inputs[2]
        return one.kind in _SAME or one.kind in _ANY or one.kind in _ACTIVATIONS

    def _add_integers(self, one: Operator) -> None:
        """Add an operator, and what makes its integers stand for the same numbers."""
        if one.kind == "Concat":
            inputs = tuple(self._requantized(name, one.output) for name in one.inputs)
            self.made.append(replace(one, inputs=inputs))
            return
        given = self.quantizations[one.inputs[0]]
        if one.kind not in _SAME or all(self.quantizations[name] == given for name in one.outputs):
            self.made.append(one)
            return
        own = tuple(f"{name}/own" for name in one.outputs)
        self.made.append(replace(one, output=own[0], outputs=own))
        for name, wanted in zip(own, one.outputs, strict=True):
            self.quantizations[name], self.shapes[name] = given, self.shapes[wanted]
            self.made.append(Operator("Requantize", name, (name,), wanted, (wanted,)))

    def _requantized(self, name: str, like: str) -> str:
        if self.quantizations[name] == self.quantizations[like]:
            return name
        made = f"{name}/for/{like}"
        self.quantizations[made] = self.quantizations[like]
        self.shapes[made] = self.shapes[name]
        self.made.append(Operator("Requantize", made, (name,), made, (made,)))
        return made

    def _renamed(self, one: Operator) -> Operator:
        return replace(one, inputs=tuple(self.alias.get(name, name) for name in one.inputs))

    def weights_fit(self, name: str, axis: int) -> bool:
        """Say whether weights are int8 about zero, with scales along this axis."""
        array, how = self.arrays.get(name), self.quantizations.get(name)
        if array is None or how is None or array.dtype != np.int8 or how.zero:
            return False
        return len(how.scales) == 1 or how.axis % array.ndim == axis

    def bias_fits(self, inputs: tuple[str, ...]) -> bool:
        """Say whether a bias is of integers at the product of the scales, or there is none."""
        if len(inputs) < 3 or not inputs[2]:
            return True
        array, how = self.arrays.get(inputs[2]), self.quantizations.get(inputs[2])
        if array is None or how is None or array.dtype != np.int32:
            return False
        (image,), weights = (self.quantizations[name].scales for name in inputs[:2])
        return np.allclose(how.scales, image * np.asarray(weights), rtol=1e-5)


def _convolution_fits(reading: _Reading, one: Operator, inputs: tuple[str, ...]) -> bool:
    return reading.weights_fit(inputs[1], 0) and reading.bias_fits(inputs)


def _gemm_fits(reading: _Reading, one: Operator, inputs: tuple[str, ...]) -> bool:
    plain = all(one.attributes.get(name, 1.0) == 1.0 for name in ("alpha", "beta"))
    axis = 0 if one.attributes.get("transB") else 1
    fits = reading.weights_fit(inputs[1], axis) and reading.bias_fits(inputs)
    return plain and not one.attributes.get("transA") and fits


def _matmul_fits(reading: _Reading, one: Operator, inputs: tuple[str, ...]) -> bool:
    return inputs[1] not in reading.arrays or reading.weights_fit(inputs[1], 1)


_PRODUCTS: dict[str, Callable[[_Reading, Operator, tuple[str, ...]], bool]] = {
    "Conv": _convolution_fits,
    "Gemm": _gemm_fits,
    "MatMul": _matmul_fits,
}


def _needed(operators: list[Operator], output: str) -> list[Operator]:
    needed, kept = {output}, []
    for one in reversed(operators):
        if needed.intersection(one.outputs):
            needed.update(one.inputs)
            kept.append(one)
    return kept[::-1]
