"""Writes what adds numbers up: products of matrices, reductions, and normalizations by them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facebench.harness.models.onnx_cost.graph import Operator
from facebench.harness.runtimes.litert.conversion import (
    Conversion,
    Order,
    Placed,
    along,
    refuse,
    rule,
)

_REDUCTIONS = {"ReduceMax": "REDUCE_MAX", "ReduceMean": "MEAN", "ReduceMin": "REDUCE_MIN",
               "ReduceSum": "SUM"}  # fmt: skip


@rule("Gemm")
def _gemm(conversion: Conversion, one: Operator) -> None:
    turned = one.attributes.get("transB")
    filters = conversion.constant(one, 1, "weights").shape[0 if turned else 1]
    if one.attributes.get("transA"):
        refuse(one, "of a transposed input")
    if any(one.attributes.get(word, 1.0) != 1.0 for word in ("alpha", "beta")):
        refuse(one, "with factors")
    if conversion.given(one, 2) and conversion.constant(one, 2, "bias").size not in (1, filters):
        refuse(one, "with a bias for each image")
    image = conversion.tensor(one.inputs[0], (0, 1))
    table = conversion.stored(one.inputs[1], (0, 1) if turned else (1, 0))
    bias = conversion.bias(one, image, table, filters)
    conversion.emit(one.output, "FULLY_CONNECTED", [image, table, bias], (0, 1))


@rule("MatMul")
def _matmul(conversion: Conversion, one: Operator) -> None:
    weights = conversion.array(one.inputs[1])
    if weights is not None and weights.ndim == 2 and len(conversion.shape(one.inputs[0])) > 1:
        _product_with_weights(conversion, one)
        return
    rank = len(conversion.shape(one.output))
    if any(len(conversion.shape(name)) != rank for name in one.inputs) or rank < 2:
        refuse(one, "of operands with different numbers of dimensions")
    order = tuple(range(rank))
    # The second one may lie transposed.
    turned = (*order[:-2], order[-1], order[-2])
    lies_turned = conversion.kept(one.inputs[1]).order == turned
    tensors = [conversion.tensor(one.inputs[0], order),
               conversion.tensor(one.inputs[1], turned if lies_turned else order)]  # fmt: skip
    conversion.emit(one.output, "BATCH_MATMUL", tensors, order, adjY=lies_turned)


def _product_with_weights(conversion: Conversion, one: Operator) -> None:
    """Write a product along the last dimension; the others may lie in any order."""
    kept = conversion.kept(one.inputs[0])
    order = _last(kept.order, len(kept.order) - 1)
    inputs = [conversion.moved(kept, order), conversion.stored(one.inputs[1], (1, 0)), -1]
    conversion.emit(one.output, "FULLY_CONNECTED", inputs, order, keepNumDims=True)


@rule(*_REDUCTIONS)
def _reduce(conversion: Conversion, one: Operator) -> None:
    kept, axes = conversion.kept(one.inputs[0]), _axes(conversion, one)
    _reduced(conversion, one, _REDUCTIONS[one.kind], kept, axes)


@rule("ReduceL2")
def _reduce_l2(conversion: Conversion, one: Operator) -> None:
    kept, axes = conversion.kept(one.inputs[0]), _axes(conversion, one)
    shape = conversion.writer.shape(kept.tensor)
    squares = conversion.between("SQUARE", [kept.tensor], shape, one.output)
    _reduced(conversion, one, "SUM", Placed(squares, kept.order), axes)
    total = conversion.kept(one.output)
    conversion.emit(one.output, "SQRT", [total.tensor], total.order)


@rule("LpNormalization")
def _lp_normalization(conversion: Conversion, one: Operator) -> None:
    if one.attributes.get("p", 2) != 2:
        refuse(one, "of another norm than the second")
    kept, writer = conversion.kept(one.inputs[0]), conversion.writer
    place = along(kept.order, one.attributes.get("axis", -1))
    shape = list(writer.shape(kept.tensor))
    squares = conversion.between("SQUARE", [kept.tensor], shape, one.output)
    norm = _statistic(conversion, "SUM", squares, [place], one.output)
    norm = conversion.between("SQRT", [norm], writer.shape(norm), one.output)
    conversion.emit(one.output, "DIV", [kept.tensor, norm], kept.order)


@rule("Softmax")
def _softmax(conversion: Conversion, one: Operator) -> None:
    kept = conversion.kept(one.inputs[0])
    order = _last(kept.order, one.attributes.get("axis", -1) % len(kept.order))
    tensor = conversion.moved(kept, order)
    conversion.emit(one.output, "SOFTMAX", [tensor], order, beta=1.0)


@rule("LayerNormalization")
def _layer_normalization(conversion: Conversion, one: Operator) -> None:
    kept = conversion.kept(one.inputs[0])
    first = one.attributes.get("axis", -1) % len(kept.order)
    _normalize(conversion, one, kept, list(range(first, len(kept.order))), first)


@rule("InstanceNormalization")
def _instance_normalization(conversion: Conversion, one: Operator) -> None:
    kept = conversion.kept(one.inputs[0])
    _normalize(conversion, one, kept, list(range(2, len(kept.order))), 1)


@rule("BatchNormalization")
def _batch_normalization(conversion: Conversion, one: Operator) -> None:
    """Write one that no layer before could take: a factor and a term for each channel."""
    scale, bias, mean, variance = (
        conversion.constant(one, place, "statistics").astype(np.float64) for place in (1, 2, 3, 4)
    )
    factor = scale / np.sqrt(variance + one.attributes.get("epsilon", 1e-5))
    kept = conversion.kept(one.inputs[0])
    scaled = _with_channels(conversion, "MUL", kept, factor, 1, one.output)
    made = _with_channels(conversion, "ADD", scaled, bias - mean * factor, 1, one.output)
    conversion.writer.rename(made.tensor, one.output)
    conversion.keep(one.output, made)


def _normalize(
    conversion: Conversion, one: Operator, kept: Placed, axes: Sequence[int], channels: int
) -> None:
    """Write a value less its mean over axes, over its deviation; then factors and terms."""
    writer, name = conversion.writer, one.output
    places = [along(kept.order, axis) for axis in axes]
    shape = writer.shape(kept.tensor)
    mean = _statistic(conversion, "MEAN", kept.tensor, places, name)
    off = conversion.between("SUB", [kept.tensor, mean], shape, name)
    squares = conversion.between("SQUARE", [off], shape, name)
    variance = _statistic(conversion, "MEAN", squares, places, name)
    least = writer.constant(np.asarray([one.attributes.get("epsilon", 1e-5)], np.float32))
    raised = conversion.between("ADD", [variance, least], writer.shape(variance), name)
    ratio = conversion.between("RSQRT", [raised], writer.shape(variance), name)
    made = Placed(conversion.between("MUL", [off, ratio], shape, name), kept.order)
    for kind, place in (("MUL", 1), ("ADD", 2)):
        if conversion.given(one, place):
            values = conversion.constant(one, place, "weights")
            made = _with_channels(conversion, kind, made, values, channels, name)
    writer.rename(made.tensor, name)
    conversion.keep(name, made)


def _with_channels(
    conversion: Conversion, kind: str, kept: Placed, values: np.ndarray, first: int, name: str
) -> Placed:
    """Add or multiply by numbers that lie along dimensions from the first on."""
    rank = len(kept.order)
    full = values.reshape((1,) * first + values.shape + (1,) * (rank - first - values.ndim))
    table = conversion.writer.constant(full.transpose(kept.order).astype(np.float32))
    shape = conversion.writer.shape(kept.tensor)
    return Placed(conversion.between(kind, [kept.tensor, table], shape, name), kept.order)


def _statistic(
    conversion: Conversion, kind: str, tensor: int, places: Sequence[int], name: str
) -> int:
    """Reduce along places of a tensor, which stay, of one element."""
    shape = [1 if i in places else size for i, size in enumerate(conversion.writer.shape(tensor))]
    axes = conversion.writer.constant(np.asarray(sorted(places), np.int32))
    return conversion.between(kind, [tensor, axes], shape, name, keepDims=True)


def _reduced(
    conversion: Conversion, one: Operator, kind: str, kept: Placed, axes: Sequence[int]
) -> None:
    places = [along(kept.order, axis) for axis in axes]
    if one.attributes.get("keepdims", 1):
        made = _statistic(conversion, kind, kept.tensor, places, one.output)
        conversion.keep(one.output, Placed(made, kept.order))
        return
    left = [axis for axis in kept.order if axis not in axes]
    order = tuple(sorted(left).index(axis) for axis in left)
    table = conversion.writer.constant(np.asarray(sorted(places), np.int32))
    conversion.emit(one.output, kind, [kept.tensor, table], order, keepDims=False)


def _axes(conversion: Conversion, one: Operator) -> list[int]:
    """Return the dimensions that a reduction is over, which older opsets have in an attribute."""
    rank = len(conversion.shape(one.inputs[0]))
    if "axes" in one.attributes:
        given = one.attributes["axes"]
    elif conversion.given(one, 1):
        given = conversion.constant(one, 1, "axes").flat
    else:
        given = range(rank)
    return [int(axis) % rank for axis in given]


def _last(order: Order, axis: int) -> Order:
    """Return the order with one dimension moved to the end."""
    return (*(one for one in order if one != axis), axis)
