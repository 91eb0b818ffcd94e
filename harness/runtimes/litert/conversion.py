"""Holds a network on its way from ONNX to LiteRT, and how its values lie in memory.

ONNX has channels before rows and columns, LiteRT after them. A value is kept as it was made, with
the order of its dimensions beside it, so that a transposition is only another order; it is
moved where an operator needs its dimensions in places of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from facebench.architectures.errors import BadInputError
from facebench.architectures.registry import Registry
from facebench.harness.models.onnx_cost.graph import OnnxGraph, Operator
from facebench.harness.runtimes.litert.flatbuffer import ModelWriter, Quantization

Order = tuple[int, ...]

# As the maps of a convolution lie in LiteRT: rows, columns, channels.
CHANNELS_LAST: Order = (0, 2, 3, 1)


@dataclass(frozen=True)
class Placed:
    """It says where a value is.

    Attributes:
        tensor: its number.
        order: for each dimension of the tensor, which of the value's it is, as ONNX counts them.
    """

    tensor: int
    order: Order


Rule = Callable[["Conversion", Operator], None]

RULES: Registry[Rule] = Registry("operator")


def rule(*kinds: str) -> Callable[[Rule], Rule]:
    """Register the decorated function, which writes an operator of these kinds of ONNX."""

    def decorate(function: Rule) -> Rule:
        for kind in kinds:
            RULES.add(kind, function, function.__module__)
        return function

    return decorate


def refuse(one: Operator, why: str) -> NoReturn:
    """Say of an operator that it cannot be written.

    Raises:
        BadInputError: always.
    """
    raise BadInputError(
        f"LiteRT has no operator for {one.kind} {why} ({one.name}): time this network in another "
        "runtime, such as onnxruntime"
    )


class Conversion:
    """It is a network that is being written, operator by operator.

    Args:
        graph: of plain operators, with shapes for its number of images.
        arrays: its constants, by their names.
        quantizations: of values that are int8, by their names.
        half: keep constants in half precision, as `ModelWriter` does.
    """

    def __init__(
        self,
        graph: OnnxGraph,
        arrays: dict[str, npt.NDArray[Any]],
        quantizations: dict[str, Quantization],
        half: bool = False,
    ) -> None:
        self.graph = graph
        self.quantizations = quantizations
        self.writer = ModelWriter(half)
        self._arrays = arrays
        self._kept: dict[str, Placed] = {}
        self._moved: dict[tuple[int, Order], int] = {}

    def start(self, order: Order) -> int:
        """Add the input with its dimensions in this order."""
        shape = [self.shape(self.graph.image)[one] for one in order]
        self._kept[self.graph.image] = Placed(self.writer.tensor(self.graph.image, shape), order)
        return self._kept[self.graph.image].tensor

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a value as ONNX has it."""
        return self.graph.shapes[name]

    def array(self, name: str) -> npt.NDArray[Any] | None:
        """Return the value where it is a constant, of any shape."""
        return self._arrays.get(name)

    def constant(self, one: Operator, place: int, what: str) -> npt.NDArray[Any]:
        """Return the input in this place, of any shape, which has to be a constant.

        Raises:
            BadInputError: it is worked out.
        """
        found = self._arrays.get(one.inputs[place])
        if found is None:
            refuse(one, f"whose {what} depends on the image")
        return found

    def given(self, one: Operator, place: int) -> str:
        """Return the name of an input that may be left out; empty where it is."""
        return one.inputs[place] if place < len(one.inputs) else ""

    def kept(self, name: str) -> Placed:
        """Return where a value is that is worked out, or a constant, as it is in ONNX."""
        if name not in self._kept:
            order = tuple(range(self._arrays[name].ndim))
            self._kept[name] = Placed(self.stored(name, order), order)
        return self._kept[name]

    def keep(self, name: str, kept: Placed) -> None:
        """Say where a value is."""
        self._kept[name] = kept

    def tensor(self, name: str, order: Sequence[int]) -> int:
        """Return a tensor of the value with its dimensions in this order, moved where need be."""
        if name in self._arrays:
            return self.stored(name, order)
        return self.moved(self.kept(name), tuple(order))

    def stored(self, name: str, order: Sequence[int], shape: Sequence[int] | None = None) -> int:
        """Return a tensor of a constant, transposed and then of a shape of as many elements.

        It holds integers where the graph says for which numbers these stand.
        """
        array, how = self._arrays[name].transpose(order), self.quantizations.get(name)
        if how is None:
            array = array.astype(np.float32)
        elif len(how.scales) > 1:
            how = replace(how, axis=along(order, how.axis))
        return self.writer.constant(array if shape is None else array.reshape(shape), name, how)

    def bias(self, one: Operator, image: int, weights: int, count: int) -> int:
        """Return the tensor of a product's terms `(count,)`, zeros where it has none.

        Args:
            one: the operator, whose third input they are.
            image: the tensor that is multiplied.
            weights: the tensor it is multiplied with.
            count: how many there are.
        """
        array = np.zeros(count, np.float32)
        if self.given(one, 2):
            array = self.constant(one, 2, "bias").reshape(-1)
        factors = self.writer.quantization(image), self.writer.quantization(weights)
        if factors[0] is None or factors[1] is None:
            return self.writer.constant(np.broadcast_to(array, count).astype(np.float32))
        product = np.float32(factors[0].scales[0]) * np.asarray(factors[1].scales, np.float32)
        how = Quantization(tuple(map(float, product)))
        return self.writer.constant(array.astype(np.int32), f"{one.name}/bias", how)

    def moved(self, kept: Placed, order: Order) -> int:
        """Return a tensor with its dimensions in this order, moved where need be."""
        if kept.order == order:
            return kept.tensor
        key = (kept.tensor, turn := tuple(kept.order.index(one) for one in order))
        if key not in self._moved:
            self._moved[key] = self._turned(kept.tensor, turn)
        return self._moved[key]

    def reshaped(self, tensor: int, shape: Sequence[int]) -> int:
        """Return a tensor of another shape with the same elements in the same places."""
        if self.writer.shape(tensor) == tuple(shape):
            return tensor
        extents = self.writer.constant(np.asarray(shape, np.int32))
        name = self.writer.name(tensor)
        return self.between("RESHAPE", [tensor, extents], shape, name, newShape=list(shape))

    def emit(
        self, name: str, kind: str, inputs: Sequence[int], order: Sequence[int], **options: Any
    ) -> None:
        """Add the operator that gives a value, its dimensions in this order."""
        shape = [self.shape(name)[one] for one in order]
        made = self.writer.tensor(name, shape, self.quantizations.get(name))
        self.writer.add(kind, inputs, [made], **options)
        self.keep(name, Placed(made, tuple(order)))

    def between(
        self, kind: str, inputs: Sequence[int], shape: Sequence[int], name: str, **options: Any
    ) -> int:
        """Add an operator whose output is no value of ONNX's, and return its tensor.

        Where the first input is of integers, so is the output, which stand for the same numbers.
        """
        quantization = self.writer.quantization(inputs[0])
        made = self.writer.tensor(f"{name}/{kind.lower()}", shape, quantization)
        self.writer.add(kind, inputs, [made], **options)
        return made

    def read_once(self, name: str) -> bool:
        """Say whether one operator reads the value alone, as it was made."""
        kept = self._kept.get(name)
        own = kept is not None and self.writer.name(kept.tensor) == name
        return own and self.graph.readers[name] == 1

    def _turned(self, tensor: int, turn: Order) -> int:
        """Transpose, or reshape where only dimensions of one element change places."""
        extents = self.writer.shape(tensor)
        shape = [extents[one] for one in turn]
        wide = [one for one in turn if extents[one] != 1]
        if wide == sorted(wide):
            return self.reshaped(tensor, shape)
        places = self.writer.constant(np.asarray(turn, np.int32))
        return self.between("TRANSPOSE", [tensor, places], shape, self.writer.name(tensor))


def along(order: Sequence[int], axis: int) -> int:
    """Return the tensor's dimension that is this one of the value's; negative counts from the end.

    Example:
        >>> along(CHANNELS_LAST, 1)
        3
    """
    return tuple(order).index(axis % len(order))
