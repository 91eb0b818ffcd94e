"""Reads what maps each number by itself, or numbers in the same place of several values."""

from __future__ import annotations

import math

import onnx

from facebench.harness.models.tflite_network.files import TfliteOperator
from facebench.harness.models.tflite_network.translation import (
    Order,
    Translation,
    plain,
    refuse,
    rule,
)

# TFLite's name, and ONNX's of the operator that does the same.
_OF_ONE = {
    "ABS": "Abs",
    "EXP": "Exp",
    "HARD_SWISH": "HardSwish",
    "LOG": "Log",
    "LOGISTIC": "Sigmoid",
    "NEG": "Neg",
    "RELU": "Relu",
    "SQRT": "Sqrt",
    "TANH": "Tanh",
}
_OF_TWO = {
    "ADD": "Add",
    "DIV": "Div",
    "MAXIMUM": "Max",
    "MINIMUM": "Min",
    "MUL": "Mul",
    "POW": "Pow",
    "PRELU": "PRelu",
    "SUB": "Sub",
}
_LIMITS = {"RELU6": (0.0, 6.0), "RELU_0_TO_1": (0.0, 1.0), "RELU_N1_TO_1": (-1.0, 1.0)}

# Of GELU by the hyperbolic tangent.
_CUBE = 0.044715


@rule(*_OF_ONE)
def _of_one(translation: Translation, one: TfliteOperator) -> None:
    value, order = _given(translation, one)
    translation.keep(one, translation.emit(_OF_ONE[one.kind], [value]), order)


@rule(*_OF_TWO)
def _of_two(translation: Translation, one: TfliteOperator) -> None:
    left, right, order = _together(translation, one)
    translation.keep(one, translation.emit(_OF_TWO[one.kind], [left, right]), order)


@rule("SQUARED_DIFFERENCE")
def _squared_difference(translation: Translation, one: TfliteOperator) -> None:
    left, right, order = _together(translation, one)
    difference = translation.emit("Sub", [left, right])
    translation.keep(one, translation.emit("Mul", [difference, difference]), order)


@rule(*_LIMITS)
def _limit(translation: Translation, one: TfliteOperator) -> None:
    value, order = _given(translation, one)
    limits = map(translation.constant, _LIMITS[one.kind])
    translation.keep(one, translation.emit("Clip", [value, *limits]), order)


@rule("LEAKY_RELU")
def _leaky_relu(translation: Translation, one: TfliteOperator) -> None:
    value, order = _given(translation, one)
    made = translation.emit("LeakyRelu", [value], alpha=float(one.option("alpha")))
    translation.keep(one, made, order)


@rule("ELU")
def _elu(translation: Translation, one: TfliteOperator) -> None:
    value, order = _given(translation, one)
    translation.keep(one, translation.emit("Elu", [value], alpha=1.0), order)


@rule("SQUARE")
def _square(translation: Translation, one: TfliteOperator) -> None:
    value, order = _given(translation, one)
    translation.keep(one, translation.emit("Mul", [value, value]), order)


@rule("RSQRT")
def _reciprocal_root(translation: Translation, one: TfliteOperator) -> None:
    value, order = _given(translation, one)
    root = translation.emit("Sqrt", [value])
    translation.keep(one, translation.emit("Reciprocal", [root]), order)


@rule("GELU")
def _gelu(translation: Translation, one: TfliteOperator) -> None:
    """Write it out, by the error function or as near as its hyperbolic tangent comes.

    ONNX has it as one operator in later opsets alone.
    """
    value, order = _given(translation, one)

    def times(left: str, right: str | float) -> str:
        right = translation.constant(right) if isinstance(right, float) else right
        return translation.emit("Mul", [left, right])

    if one.option("approximate", False):
        cube = times(times(times(value, value), value), _CUBE)
        inner = times(translation.emit("Add", [value, cube]), math.sqrt(2 / math.pi))
        sign = translation.emit("Tanh", [inner])
    else:
        sign = translation.emit("Erf", [times(value, math.sqrt(0.5))])
    share = times(translation.emit("Add", [sign, translation.constant(1.0)]), 0.5)
    translation.keep(one, times(share, value), order)


@rule("QUANTIZE")
def _quantize(translation: Translation, one: TfliteOperator) -> None:
    # To keep a value rounds it to the integers of its tensor.
    translation.keep(one, *_given(translation, one))


@rule("DEQUANTIZE")
def _dequantize(translation: Translation, one: TfliteOperator) -> None:
    translation.keep_same(one, one.given(0))


@rule("CAST")
def _cast(translation: Translation, one: TfliteOperator) -> None:
    value, order = translation.raw(one.given(0))
    kind = translation.tensor(one.outputs[0]).kind
    kinds = {"FLOAT32": onnx.TensorProto.FLOAT, "INT32": onnx.TensorProto.INT64}
    if kind not in kinds:
        refuse(one, f"gives {kind}")
    translation.keep(one, translation.emit("Cast", [value], to=kinds[kind]), order)


def _given(translation: Translation, one: TfliteOperator) -> tuple[str, Order]:
    order = translation.order(one.given(0))
    return translation.value(one.given(0), order), order


def _together(translation: Translation, one: TfliteOperator) -> tuple[str, str, Order]:
    """Return both inputs and the order of their dimensions, which is one that one of them has."""
    numbers = (one.given(0), one.given(1))
    ranks = [len(translation.dims(number)) for number in numbers]
    rank = max(ranks)
    made = [
        translation.orders(number)
        for number, own in zip(numbers, ranks, strict=True)
        if own == rank and not translation.is_constant(number)
    ]
    fewer = [
        own < rank and not translation.is_constant(number)
        for number, own in zip(numbers, ranks, strict=True)
    ]
    order = plain(rank)
    if made and not any(fewer):
        both = [each for each in made[0] if each in made[-1]]
        order = (both or made[0])[0]
    left, right = (
        translation.value(number, plain(own) if lower else order)
        for number, own, lower in zip(numbers, ranks, fewer, strict=True)
    )
    return left, right, order
