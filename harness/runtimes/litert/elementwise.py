"""Writes what maps each number by itself, or numbers in the same place of several values."""

from __future__ import annotations

import numpy as np

from facebench.harness.models.onnx_cost.graph import Operator
from facebench.harness.runtimes.litert.conversion import (
    Conversion,
    Order,
    Placed,
    refuse,
    rule,
)

# ONNX's name, and LiteRT's of the operator that does the same.
_OF_ONE = {
    "Abs": "ABS",
    "Cos": "COS",
    "Exp": "EXP",
    "HardSwish": "HARD_SWISH",
    "Log": "LOG",
    "Neg": "NEG",
    "Sigmoid": "LOGISTIC",
    "Sin": "SIN",
    "Sqrt": "SQRT",
    "Tanh": "TANH",
}
_OF_SEVERAL = {
    "Add": "ADD",
    "Div": "DIV",
    "Max": "MAXIMUM",
    "Min": "MINIMUM",
    "Mul": "MUL",
    "PRelu": "PRELU",
    "Sub": "SUB",
}

# Powers that have an operator of their own.
_POWERS = {2.0: "SQUARE", 0.5: "SQRT", -0.5: "RSQRT"}

# Limits that do, and the activation that an operator before can apply itself.
_LIMITS = {
    (0.0, np.inf): "RELU",
    (0.0, 6.0): "RELU6",
    (0.0, 1.0): "RELU_0_TO_1",
    (-1.0, 1.0): "RELU_N1_TO_1",
}
_FUSED = frozenset({"RELU", "RELU6", "RELU_N1_TO_1"})


@rule("QuantizeLinear", "Requantize")
def _quantize(conversion: Conversion, one: Operator) -> None:
    _map(conversion, one, "QUANTIZE")


@rule("DequantizeLinear")
def _dequantize(conversion: Conversion, one: Operator) -> None:
    _map(conversion, one, "DEQUANTIZE")


@rule(*_OF_ONE)
def _of_one(conversion: Conversion, one: Operator) -> None:
    _map(conversion, one, _OF_ONE[one.kind])


@rule(*_OF_SEVERAL)
def _of_several(conversion: Conversion, one: Operator) -> None:
    if one.kind == "Add" and _add_bias(conversion, one):
        return
    order = _order(conversion, one)
    tensors = [_operand(conversion, name, order) for name in one.inputs]
    kind = _OF_SEVERAL[one.kind]
    for extra in tensors[1:-1]:  # of more than two
        shape = np.broadcast_shapes(*map(conversion.writer.shape, (tensors[0], extra)))
        tensors[0] = conversion.between(kind, [tensors[0], extra], shape, one.output)
    inputs = tensors if len(tensors) == 1 else [tensors[0], tensors[-1]]
    if len(inputs) == 1:
        conversion.keep(one.output, Placed(inputs[0], order))
    else:
        conversion.emit(one.output, kind, inputs, order)


@rule("Relu")
def _relu(conversion: Conversion, one: Operator) -> None:
    _activate(conversion, one, "RELU")


@rule("Clip")
def _clip(conversion: Conversion, one: Operator) -> None:
    low, high = (_limit(conversion, one, place) for place in (1, 2))
    if kind := _LIMITS.get((low, high)):
        _activate(conversion, one, kind)
        return
    kept = conversion.kept(one.inputs[0])
    limits = [("MAXIMUM", low), ("MINIMUM", high)]
    for kind, limit in limits:
        if np.isfinite(limit):
            number = conversion.writer.constant(np.asarray([limit], np.float32))
            shape = conversion.writer.shape(kept.tensor)
            made = conversion.between(kind, [kept.tensor, number], shape, one.output)
            kept = Placed(made, kept.order)
    conversion.keep(one.output, kept)


@rule("LeakyRelu")
def _leaky_relu(conversion: Conversion, one: Operator) -> None:
    _map(conversion, one, "LEAKY_RELU", alpha=one.attributes.get("alpha", 0.01))


@rule("Elu")
def _elu(conversion: Conversion, one: Operator) -> None:
    if one.attributes.get("alpha", 1.0) != 1.0:
        refuse(one, "with an alpha other than 1")
    _map(conversion, one, "ELU")


@rule("Gelu")
def _gelu(conversion: Conversion, one: Operator) -> None:
    approximate = one.attributes.get("approximate", b"none") == b"tanh"
    _map(conversion, one, "GELU", approximate=approximate)


@rule("HardSigmoid")
def _hard_sigmoid(conversion: Conversion, one: Operator) -> None:
    """Write it as ReLU6, over the interval from 0 to 6, which is a sixth of it times 6."""
    slope, offset = one.attributes.get("alpha", 0.2), one.attributes.get("beta", 0.5)
    kept, writer = conversion.kept(one.inputs[0]), conversion.writer
    shape = writer.shape(kept.tensor)
    scaled = kept.tensor
    if not np.isclose(6 * slope, 1.0):
        factor = writer.constant(np.asarray([6 * slope], np.float32))
        scaled = conversion.between("MUL", [scaled, factor], shape, one.output)
    term = writer.constant(np.asarray([6 * offset], np.float32))
    limited = conversion.between(
        "ADD", [scaled, term], shape, one.output, fusedActivationFunction="RELU6"
    )
    sixth = writer.constant(np.asarray([1 / 6], np.float32))
    conversion.emit(one.output, "MUL", [limited, sixth], kept.order)


@rule("Reciprocal")
def _reciprocal(conversion: Conversion, one: Operator) -> None:
    kept = conversion.kept(one.inputs[0])
    number = conversion.writer.constant(np.ones(1, np.float32))
    conversion.emit(one.output, "DIV", [number, kept.tensor], kept.order)


@rule("Pow")
def _pow(conversion: Conversion, one: Operator) -> None:
    exponent = conversion.array(one.inputs[1])
    if exponent is not None and exponent.size == 1 and float(exponent.flat[0]) in _POWERS:
        _map(conversion, one, _POWERS[float(exponent.flat[0])])
        return
    order = _order(conversion, one)
    inputs = [_operand(conversion, name, order) for name in one.inputs]
    conversion.emit(one.output, "POW", inputs, order)


def _map(conversion: Conversion, one: Operator, kind: str, **options: float | bool) -> None:
    kept = conversion.kept(one.inputs[0])
    conversion.emit(one.output, kind, [kept.tensor], kept.order, **options)


def _activate(conversion: Conversion, one: Operator, kind: str) -> None:
    """Have the operator before apply an activation, where nothing else reads what it gives."""
    source = one.inputs[0]
    if kind in _FUSED and conversion.read_once(source):
        kept = conversion.kept(source)
        if conversion.writer.fuse(kept.tensor, kind):
            conversion.writer.rename(kept.tensor, one.output)
            conversion.keep(one.output, kept)
            return
    _map(conversion, one, kind)


def _add_bias(conversion: Conversion, one: Operator) -> bool:
    """Have a product before add a bias itself, and say whether it does."""
    for source, other in (one.inputs, one.inputs[::-1]):
        bias = conversion.array(other)
        if bias is None or other in conversion.quantizations or not conversion.read_once(source):
            continue
        kept, shape = conversion.kept(source), conversion.shape(source)
        fits = bias.shape == shape[-1:] and kept.order[-1] == len(shape) - 1
        if fits and conversion.writer.add_bias(kept.tensor, bias.astype(np.float32)):
            conversion.writer.rename(kept.tensor, one.output)
            conversion.keep(one.output, kept)
            return True
    return False


def _limit(conversion: Conversion, one: Operator, place: int) -> float:
    """Return a limit of a Clip; older opsets have it in an attribute."""
    if conversion.given(one, place):
        return float(conversion.constant(one, place, "limit").flat[0])
    return float(one.attributes.get(("min", "max")[place - 1], (-np.inf, np.inf)[place - 1]))


def _order(conversion: Conversion, one: Operator) -> Order:
    """Return the order in which operands are joined: that of the largest one."""
    rank = len(conversion.shape(one.output))
    worked_out = [name for name in one.inputs if conversion.array(name) is None]
    largest = max(worked_out, key=conversion.graph.elements)
    order = conversion.kept(largest).order
    missing = rank - len(order)
    return (*range(missing), *(axis + missing for axis in order))


def _operand(conversion: Conversion, name: str, order: Order) -> int:
    """Return a tensor of a value with its dimensions in this order, ones before them if need be."""
    missing = len(order) - len(conversion.shape(name))
    if (array := conversion.array(name)) is not None:
        turn = [axis - missing for axis in order if axis >= missing]
        shape = [array.shape[axis - missing] if axis >= missing else 1 for axis in order]
        while len(shape) > 1 and shape[0] == 1:
            shape.pop(0)
        return conversion.stored(name, turn, shape or [1])
    kept = conversion.kept(name)
    if missing:
        shape = [1] * missing + list(conversion.writer.shape(kept.tensor))
        lifted = (*range(missing), *(axis + missing for axis in kept.order))
        kept = Placed(conversion.reshaped(kept.tensor, shape), lifted)
    return conversion.moved(kept, order)
