"""Holds a TFLite graph on its way to ONNX, and how its values lie in memory.

TFLite has channels after rows and columns, ONNX before them. A value is kept as it was made, with
the order of its dimensions beside it, so that a transposition is only another order; it is moved
where an operator needs its dimensions in places of their own. All values are the real numbers that
a tensor stands for: a quantized one is rounded to its integers and back where it is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from facebench.architectures.errors import BadInputError
from facebench.architectures.registry import Registry
from facebench.harness.models.tflite_network.files import TfliteGraph, TfliteOperator, TfliteTensor

Array = npt.NDArray[Any]

# For each dimension of a value of ONNX, which of the tensor's it is.
Order = tuple[int, ...]

# Of a map (N, H, W, C): as ONNX's convolutions take it.
CHANNELS_FIRST: Order = (0, 3, 1, 2)

OPSET, _IR_VERSION = 17, 8

Rule = Callable[["Translation", TfliteOperator], None]

RULES: Registry[Rule] = Registry("operator")

_INTEGERS = ("INT32", "INT64")
_KINDS = {
    "FLOAT32": onnx.TensorProto.FLOAT,
    "FLOAT16": onnx.TensorProto.FLOAT,
    "INT32": onnx.TensorProto.INT64,
    "INT64": onnx.TensorProto.INT64,
    "UINT8": onnx.TensorProto.UINT8,
    "INT8": onnx.TensorProto.INT8,
}


def rule(*kinds: str) -> Callable[[Rule], Rule]:
    """Register the decorated function, which says in ONNX what these operators of TFLite do."""

    def decorate(function: Rule) -> Rule:
        for kind in kinds:
            RULES.add(kind, function, function.__module__)
        return function

    return decorate


def refuse(one: TfliteOperator, why: str) -> NoReturn:
    """Say of an operator that it is not read.

    Raises:
        BadInputError: always.
    """
    raise BadInputError(f"its operator {one.kind} {why}: export the network without that")


def plain(rank: int) -> Order:
    """Return the order that a tensor itself has."""
    return tuple(range(rank))


class Translation:
    """It is a graph that is being written, operator by operator.

    Args:
        graph: of TFLite.
    """

    def __init__(self, graph: TfliteGraph) -> None:
        self._tensors = graph.tensors
        self._nodes: list[Any] = []
        self._constants: dict[object, str] = {}
        self._initializers: list[Any] = []
        self._kept: dict[int, dict[Order, str]] = {}
        self._integers: dict[int, tuple[str, Order]] = {}
        self._same: dict[int, int] = {}
        self._taken: set[str] = set()

    # What rules ask

    def tensor(self, number: int) -> TfliteTensor:
        """Return a tensor; of one that only has another's numbers, that other one.

        Raises:
            BadInputError: there is none, since an operator lacks an input.
        """
        if number < 0:
            raise BadInputError("an operator of it lacks an input")
        return self._tensors[self._same.get(number, number)]

    def dims(self, number: int) -> tuple[int, ...]:
        """Return the shape that the file says of a tensor; -1 where a dimension is free."""
        return self.tensor(number).dims

    def array(self, number: int) -> Array | None:
        """Return the numbers of a constant that is not quantized, of any shape; else None."""
        tensor = self.tensor(number)
        if tensor.number in self._kept or tensor.quantized:
            return None
        if tensor.data is None:
            return np.zeros(tensor.dims, np.int64) if 0 in tensor.dims else None
        return tensor.data.astype(np.int64 if tensor.kind in _INTEGERS else np.float32)

    def integers(self, one: TfliteOperator, place: int, what: str) -> list[int]:
        """Return the input in this place, a constant of integers, as a list.

        Raises:
            BadInputError: it is worked out, or not there.
        """
        number = one.given(place)
        found = self.array(number) if number >= 0 else None
        if found is None or self.tensor(number).kind not in _INTEGERS:
            refuse(one, f"has no constant for its {what}")
        return [int(value) for value in found.ravel()]

    def is_constant(self, number: int) -> bool:
        """Say whether a tensor's numbers stand in the file."""
        tensor = self.tensor(number)
        return tensor.number not in self._kept and (tensor.data is not None or 0 in tensor.dims)

    def order(self, number: int) -> Order:
        """Return the order in which a value was made; of a constant, its own."""
        kept = self._kept.get(self.tensor(number).number)
        return next(iter(kept)) if kept else plain(len(self.dims(number)))

    def orders(self, number: int) -> list[Order]:
        """Return all orders in which there is a value."""
        return list(self._kept.get(self.tensor(number).number, {plain(len(self.dims(number))): ""}))

    def value(self, number: int, order: Sequence[int] | None = None) -> str:
        """Return the value of a tensor with its dimensions in this order, moved where need be.

        Args:
            number: of the tensor.
            order: of the dimensions; None for that in which the tensor has them. A constant may
                have fewer: those that lack come first, with one element.
        """
        wanted = plain(len(self.dims(number))) if order is None else tuple(order)
        tensor = self.tensor(number)
        if self.is_constant(number):
            return self._constant_value(tensor, wanted)
        kept = self._kept.get(tensor.number)
        if kept is None:
            self._require_kind(tensor)
            raise BadInputError(f"its {tensor} of {tensor.kind} is read before it is given")
        if wanted not in kept:
            made, name = next(iter(kept.items()))
            kept[wanted] = self.emit("Transpose", [name], perm=[made.index(dim) for dim in wanted])
        return kept[wanted]

    def raw(self, number: int) -> tuple[str, Order]:
        """Return a value as the tensor holds it, the integers of a quantized one; and its order."""
        tensor = self.tensor(number)
        if tensor.number in self._integers:
            return self._integers[tensor.number]
        if tensor.quantized and tensor.data is not None:
            return self.constant(tensor.data, ("raw", number)), plain(tensor.data.ndim)
        order = self.order(number)
        return self.value(number, order), order

    def bias(self, number: int, scales: Array) -> str:
        """Return the bias (C,) of a convolution or product.

        Args:
            number: of the tensor.
            scales: of its integers (C,) or (1,), where the tensor does not say them itself; empty
                where they are not known.
        """
        tensor = self.tensor(number)
        if tensor.kind != "INT32" or tensor.data is None:
            return self.value(number)
        known = tensor.scales if tensor.scales.size else scales
        if known.size not in (1, tensor.data.size):
            raise BadInputError(f"its {tensor} has {known.size} scales")
        scale, attributes = (known, {"axis": 0}) if known.size > 1 else (known[0], {})
        whole = self.constant(tensor.data.astype(np.int32), ("bias", number))
        return self.emit("DequantizeLinear", [whole, self.constant(scale)], **attributes)

    # What rules write

    def constant(self, array: Array | Sequence[int] | float, of: object = None) -> str:
        """Return the name of a constant; what is the same is written once.

        Args:
            array: of any shape.
            of: what it holds the numbers of, such as a layer's weights, which are its own even
                where another's are equal; None where numbers are but numbers.
        """
        data = np.asarray(array, np.float32 if isinstance(array, float) else None, order="C")
        key = of or (data.dtype.str, data.shape, data.tobytes())
        if key not in self._constants:
            self._constants[key] = self._named("constant")
            self._initializers.append(numpy_helper.from_array(data, self._constants[key]))
        return self._constants[key]

    def emit(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add a node of ONNX of one output, and return that."""
        return self.emit_several(kind, inputs, 1, **attributes)[0]

    def emit_several(
        self, kind: str, inputs: Sequence[str], count: int, **attributes: Any
    ) -> list[str]:
        """Add a node of ONNX, and return its outputs."""
        made = [self._named(kind) for _ in range(count)]
        self._nodes.append(helper.make_node(kind, list(inputs), made, made[0], **attributes))
        return made

    def keep(self, one: TfliteOperator, name: str, order: Sequence[int], place: int = 0) -> None:
        """Say what an operator gives, its activation and its rounding still to come.

        Args:
            one: the operator.
            name: of the value in ONNX.
            order: of its dimensions.
            place: which output it is.

        Raises:
            BadInputError: there is no such output, or it was given before.
        """
        if place >= len(one.outputs):
            refuse(one, f"has {len(one.outputs)} outputs, more are expected")
        number = one.outputs[place]
        if self._same.get(number, number) in self._kept or self.is_constant(number):
            refuse(one, f"gives {self._tensors[number]} once more")
        self._keep(self._tensors[number], self._activated(one, name), tuple(order))

    def keep_same(self, one: TfliteOperator, number: int) -> None:
        """Say that an operator gives the numbers of another tensor."""
        (output,) = one.outputs
        self._same[output] = self.tensor(number).number

    # The graph's ends

    def start(self, name: str, number: int) -> Any:
        """Add an input, and return what ONNX says of it."""
        tensor = self._tensors[number]
        self._require_kind(tensor)
        self._taken.add(name)
        kind = onnx.TensorProto.FLOAT if tensor.quantized else _KINDS[tensor.kind]
        dims = [f"free_{place}" if size < 0 else size for place, size in enumerate(tensor.dims)]
        self._keep(tensor, name, plain(len(dims)))
        return helper.make_tensor_value_info(name, kind, dims)

    def finish(self, name: str, number: int) -> Any:
        """Add an output, and return what ONNX says of it."""
        tensor = self._tensors[number]
        self._require_kind(tensor)
        self._taken.add(name)
        self._nodes.append(helper.make_node("Identity", [self.value(number)], [name], name))
        kind = onnx.TensorProto.FLOAT if tensor.quantized else _KINDS[tensor.kind]
        return helper.make_tensor_value_info(name, kind, [None] * len(tensor.dims))

    def model(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> onnx.ModelProto:
        """Return the graph, from inputs to outputs."""
        made = helper.make_graph(self._nodes, "tflite", inputs, outputs, self._initializers)
        opset = [helper.make_opsetid("", OPSET)]
        return helper.make_model(made, ir_version=_IR_VERSION, opset_imports=opset)

    def shapes(self) -> dict[str, tuple[TfliteTensor, tuple[int, ...]]]:
        """Return for values by their names the tensor, and the shape that the file says of it."""
        return {
            name: (self._tensors[number], tuple(self.dims(number)[dim] for dim in order))
            for number, kept in self._kept.items()
            for order, name in kept.items()
        }

    def reserve(self, names: Sequence[str]) -> None:
        """Keep names for inputs and outputs."""
        self._taken.update(names)

    # Helpers

    def _keep(self, tensor: TfliteTensor, name: str, order: Order) -> None:
        self._require_kind(tensor)
        if len(order) != len(tensor.dims):
            raise BadInputError(f"its {tensor} has {len(tensor.dims)} dimensions, not {len(order)}")
        if tensor.quantized:
            scale, zero, axis = self._scale(tensor, order)
            attributes = {} if axis is None else {"axis": axis}
            whole = self.emit("QuantizeLinear", [name, scale, zero], **attributes)
            self._integers[tensor.number] = (whole, order)
            name = self.emit("DequantizeLinear", [whole, scale, zero], **attributes)
        self._kept[tensor.number] = {order: name}

    def _constant_value(self, tensor: TfliteTensor, order: Order) -> str:
        data = self.array(tensor.number)
        self._require_kind(tensor)
        if data is None:
            assert tensor.data is not None
            data = tensor.data
        lacking = len(order) - data.ndim
        if data.size == 1 and not tensor.quantized:
            return self.constant(data.reshape((1,) * min(data.ndim, len(order))))
        if lacking < 0:
            raise BadInputError(f"its {tensor} has {data.ndim} dimensions, not {len(order)}")
        placed = data.reshape((1,) * lacking + data.shape).transpose(order)
        moved = self.constant(placed, (tensor.number, order))
        if not tensor.quantized:
            return moved
        scale, zero, axis = self._scale(tensor, tuple(dim - lacking for dim in order))
        attributes = {} if axis is None else {"axis": axis}
        return self.emit("DequantizeLinear", [moved, scale, zero], **attributes)

    def _scale(self, tensor: TfliteTensor, order: Order) -> tuple[str, str, int | None]:
        """Return names of scale and zero point, and the axis of ONNX where there are several."""
        scales, zeros, limits = tensor.scales, tensor.zeros, np.iinfo(tensor.kind.lower())
        several = scales.size > 1
        sound = np.isfinite(scales).all() and (scales > 0).all()
        sound &= (zeros >= limits.min).all() and (zeros <= limits.max).all()
        if several:
            sound &= tensor.axis in order and scales.size == tensor.dims[tensor.axis]
        if not sound:
            raise BadInputError(f"its {tensor} has a scale or zero point that makes no sense")
        whole = zeros.astype(limits.dtype)
        if several:
            return self.constant(scales), self.constant(whole), order.index(tensor.axis)
        return self.constant(scales[0]), self.constant(whole[0]), None

    def _activated(self, one: TfliteOperator, name: str) -> str:
        applied = one.option("fusedActivationFunction")
        if applied not in _ACTIVATIONS:
            refuse(one, f"applies activation {applied}, which is not read")
        kind, limits = _ACTIVATIONS[applied]
        return self.emit(kind, [name, *map(self.constant, limits)]) if kind else name

    def _require_kind(self, tensor: TfliteTensor) -> None:
        if tensor.kind not in _KINDS or (tensor.kind == "FLOAT16" and tensor.data is None):
            raise BadInputError(
                f"its {tensor} holds {tensor.kind}, which is not read: export the network in "
                "float32, or quantized to int8"
            )

    def _named(self, kind: str) -> str:
        name = f"{kind}_{len(self._taken)}"
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name


# By the schema's numbers: the operator of ONNX, and the limits of a Clip.
_ACTIVATIONS: dict[int, tuple[str, tuple[float, ...]]] = {
    0: ("", ()),
    1: ("Relu", ()),
    2: ("Clip", (-1.0, 1.0)),
    3: ("Clip", (0.0, 6.0)),
    4: ("Tanh", ()),
}
