"""Reads what multiplies and adds up: convolutions, products, pools and reductions."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from facebench.harness.models.tflite_network.files import TfliteOperator
from facebench.harness.models.tflite_network.shapes import axes_of, reshaped, without
from facebench.harness.models.tflite_network.translation import (
    CHANNELS_FIRST,
    Array,
    Order,
    Translation,
    plain,
    refuse,
    rule,
)

# How the weights of TFLite's convolutions become those of ONNX's: outputs first, then inputs.
_OF_ALL: Order = (0, 3, 1, 2)
_OF_EACH: Order = (3, 0, 1, 2)

_SAME = 0

_REDUCTIONS = {
    "MEAN": "ReduceMean",
    "REDUCE_MAX": "ReduceMax",
    "REDUCE_MIN": "ReduceMin",
    "SUM": "ReduceSum",
}


@rule("CONV_2D")
def _convolution(translation: Translation, one: TfliteOperator) -> None:
    given, held = (translation.dims(one.given(place))[3] for place in (0, 1))
    if given < 1 or held < 1 or given % held:
        refuse(one, f"has weights of {held} channels for {given}")
    _convolve(translation, one, _OF_ALL, given // held)


@rule("DEPTHWISE_CONV_2D")
def _depthwise(translation: Translation, one: TfliteOperator) -> None:
    given, made = (translation.dims(one.given(place))[3] for place in (0, 1))
    if given < 1 or made < 1 or made % given:
        refuse(one, f"has weights of {made} channels for {given}")
    _convolve(translation, one, _OF_EACH, given)


def _convolve(translation: Translation, one: TfliteOperator, order: Order, groups: int) -> None:
    image, weights, bias = (one.given(place) for place in range(3))
    kernel = translation.dims(weights)[1:3]
    strides = (one.option("strideH"), one.option("strideW"))
    dilations = (one.option("dilationHFactor", 1), one.option("dilationWFactor", 1))
    attributes = _window(translation, one, kernel, strides, dilations)
    if dilations != (1, 1):
        attributes["dilations"] = dilations
    inputs = [translation.value(image, CHANNELS_FIRST), translation.value(weights, order)]
    if bias >= 0:
        inputs.append(translation.bias(bias, _bias_scales(translation, one)))
    made = translation.emit("Conv", inputs, group=groups, **attributes)
    translation.keep(one, made, CHANNELS_FIRST)


def _bias_scales(translation: Translation, one: TfliteOperator) -> Array:
    """Return scales of a bias that says none: those of what it is added to."""
    given, weights = (translation.tensor(one.given(place)).scales for place in (0, 1))
    return given * weights if given.size == 1 else given


@rule("AVERAGE_POOL_2D", "MAX_POOL_2D")
def _pool(translation: Translation, one: TfliteOperator) -> None:
    kernel = (one.option("filterHeight"), one.option("filterWidth"))
    attributes = _window(translation, one, kernel, (one.option("strideH"), one.option("strideW")))
    kind = {"AVERAGE_POOL_2D": "AveragePool", "MAX_POOL_2D": "MaxPool"}[one.kind]
    image = translation.value(one.given(0), CHANNELS_FIRST)
    translation.keep(one, translation.emit(kind, [image], **attributes), CHANNELS_FIRST)


def _window(
    translation: Translation,
    one: TfliteOperator,
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int] = (1, 1),
) -> dict[str, Any]:
    """Return attributes of a window that moves over the first input's rows and columns."""
    if min(*kernel, *strides, *dilations) < 1:
        refuse(one, "has a window, stride or dilation of no size")
    found: dict[str, Any] = {"kernel_shape": kernel, "strides": strides}
    sizes = translation.dims(one.given(0))[1:3]
    if one.option("padding") != _SAME:
        return found
    if min(sizes) < 1:
        return found | {"auto_pad": "SAME_UPPER"}
    around = [
        max((-(-size // stride) - 1) * stride + (width - 1) * dilation + 1 - size, 0)
        for size, width, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True)
    ]
    # What is odd comes at the end, as TensorFlow has it.
    pads = [one // 2 for one in around] + [one - one // 2 for one in around]
    return found | {"pads": pads} if any(pads) else found


@rule("FULLY_CONNECTED")
def _fully_connected(translation: Translation, one: TfliteOperator) -> None:
    if one.option("weightsFormat"):
        refuse(one, "has weights in another order than rows and columns")
    given, weights, bias = (one.given(place) for place in range(3))
    dims, (_, length) = translation.dims(given), translation.dims(weights)
    term = [translation.bias(bias, _bias_scales(translation, one))] if bias >= 0 else []
    if one.option("keepNumDims") and len(dims) != 2:
        held = [translation.value(given), translation.value(weights, (1, 0))]
        made = translation.emit("MatMul", held)
        made = translation.emit("Add", [made, *term]) if term else made
        translation.keep(one, made, plain(len(dims)))
        return
    if len(dims) == 2 and dims[1] == length:
        rows = translation.value(given)
    else:
        count = prod(dims) // length if min(dims) > 0 else -1
        rows, order = reshaped(translation, given, (count, length))
        rows = rows if order == plain(2) else translation.emit("Transpose", [rows], perm=[1, 0])
    made = translation.emit("Gemm", [rows, translation.value(weights), *term], transB=1)
    translation.keep(one, made, plain(2))


@rule("BATCH_MATMUL")
def _batch_matmul(translation: Translation, one: TfliteOperator) -> None:
    names, ranks = [], []
    for place, option in enumerate(("adjX", "adjY")):
        rank = len(translation.dims(one.given(place)))
        order = plain(rank)
        if one.option(option):
            order = (*order[:-2], rank - 1, rank - 2)
        names.append(translation.value(one.given(place), order))
        ranks.append(rank)
    translation.keep(one, translation.emit("MatMul", names), plain(max(ranks)))


@rule(*_REDUCTIONS)
def _reduce(translation: Translation, one: TfliteOperator) -> None:
    given = one.given(0)
    order = translation.order(given)
    axes = axes_of(one, translation.integers(one, 1, "axes"), len(order))
    kept = bool(one.option("keepDims"))
    places = sorted(order.index(axis) for axis in axes)
    value = translation.value(given, order)
    kind = _REDUCTIONS[one.kind]
    if kind == "ReduceSum":
        made = translation.emit(kind, [value, translation.constant(places)], keepdims=kept)
    else:
        made = translation.emit(kind, [value], axes=places, keepdims=kept)
    translation.keep(one, made, order if kept else without(order, axes))


@rule("L2_NORMALIZATION")
def _normalize(translation: Translation, one: TfliteOperator) -> None:
    order = translation.order(one.given(0))
    value = translation.value(one.given(0), order)
    length = translation.emit("ReduceL2", [value], axes=[order.index(len(order) - 1)], keepdims=1)
    # As the reference kernel has it.
    length = translation.emit("Clip", [length, translation.constant(1e-6)])
    translation.keep(one, translation.emit("Div", [value, length]), order)


@rule("SOFTMAX")
def _softmax(translation: Translation, one: TfliteOperator) -> None:
    order = translation.order(one.given(0))
    value, beta = translation.value(one.given(0), order), float(one.option("beta"))
    if beta != 1.0:
        value = translation.emit("Mul", [value, translation.constant(beta)])
    made = translation.emit("Softmax", [value], axis=order.index(len(order) - 1))
    translation.keep(one, made, order)
