"""Writes what slides a window over maps: convolutions and poolings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from facebench.harness.models.onnx_cost.graph import Operator
from facebench.harness.runtimes.litert.conversion import (
    CHANNELS_LAST,
    Conversion,
    along,
    refuse,
    rule,
)
from facebench.harness.stats.arrays import FloatArray

_ROWS_AND_COLUMNS = (2, 3)

# Activations after which no number is less than zero, so that a border of zeros is no maximum.
_NOT_NEGATIVE = frozenset({"RELU", "RELU6"})


@dataclass(frozen=True)
class _Axis:
    """It is a window's way along rows or columns; sizes and places in cells of the input."""

    size: int
    made: int
    width: int
    stride: int
    dilation: int
    before: int
    after: int

    @property
    def reach(self) -> int:
        return (self.width - 1) * self.dilation + 1

    @property
    def needed_after(self) -> int:
        """Return the cells behind the input that the last window reads."""
        return max((self.made - 1) * self.stride + self.reach - self.size - self.before, 0)

    @property
    def is_same(self) -> bool:
        """Say whether the border is the one that TensorFlow calls SAME."""
        made = -(-self.size // self.stride)
        whole = max((made - 1) * self.stride + self.reach - self.size, 0)
        return self.made == made and self.before == whole // 2

    @property
    def is_inside(self) -> bool:
        """Say whether all windows lie inside of the input."""
        return self.before == 0 and self.needed_after == 0

    def counts(self, with_border: bool) -> FloatArray:
        """Return how many cells each window averages, `(made,)`."""
        least, end = (-self.before, self.size + self.after) if with_border else (0, self.size)
        starts = np.arange(self.made) * self.stride - self.before
        inside = np.minimum(starts + self.width, end) - np.maximum(starts, least)
        return inside.astype(np.float32)


@rule("Conv")
def _convolution(conversion: Conversion, one: Operator) -> None:
    weights = conversion.constant(one, 1, "weights")
    if weights.ndim != 4:
        refuse(one, f"over {weights.ndim - 2} dimensions")
    groups = one.attributes.get("group", 1)
    axes = _axes(conversion, one, weights.shape[2:])
    image = conversion.tensor(one.inputs[0], CHANNELS_LAST)
    channels, filters = conversion.shape(one.inputs[0])[1], weights.shape[0]
    image, options = _bordered(conversion, image, axes)
    options |= {"dilationHFactor": axes[0].dilation, "dilationWFactor": axes[1].dilation}
    if depthwise := 1 < groups == channels:
        options["depthMultiplier"] = filters // channels
    # Its filters are the last dimension where each is of one channel, otherwise the first.
    table = conversion.stored(one.inputs[1], (1, 2, 3, 0) if depthwise else (0, 2, 3, 1))
    bias = conversion.bias(one, image, table, filters)
    kind = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    conversion.emit(one.output, kind, [image, table, bias], CHANNELS_LAST, **options)


@rule("AveragePool")
def _average_pool(conversion: Conversion, one: Operator) -> None:
    axes = _axes(conversion, one, one.attributes["kernel_shape"])
    with_border = bool(one.attributes.get("count_include_pad", 0))
    image = conversion.tensor(one.inputs[0], CHANNELS_LAST)
    if all(axis.is_same for axis in axes) and not with_border:
        _pool(conversion, one, "AVERAGE_POOL_2D", image, axes, padding="SAME")
        return
    image, options = _bordered(conversion, image, axes, same=False)
    counts = np.outer(*(axis.counts(with_border) for axis in axes))
    whole = axes[0].width * axes[1].width
    if (counts == whole).all():
        _pool(conversion, one, "AVERAGE_POOL_2D", image, axes, **options)
        return
    options |= _window(axes)
    shape = [conversion.shape(one.output)[place] for place in CHANNELS_LAST]
    sums = conversion.between("AVERAGE_POOL_2D", [image], shape, one.output, **options)
    ratios = conversion.writer.constant((whole / counts)[..., None].astype(np.float32))
    conversion.emit(one.output, "MUL", [sums, ratios], CHANNELS_LAST)


@rule("MaxPool")
def _max_pool(conversion: Conversion, one: Operator) -> None:
    if len(one.outputs) > 1:
        refuse(one, "that also gives places")
    axes = _axes(conversion, one, one.attributes["kernel_shape"])
    image = conversion.tensor(one.inputs[0], CHANNELS_LAST)
    least = 0.0
    if conversion.writer.activation(image) not in _NOT_NEGATIVE:
        least = float(np.finfo(np.float32).min)
    image, options = _bordered(conversion, image, axes, least)
    _pool(conversion, one, "MAX_POOL_2D", image, axes, **options)


@rule("GlobalAveragePool", "GlobalMaxPool")
def _global_pool(conversion: Conversion, one: Operator) -> None:
    order = conversion.kept(one.inputs[0]).order
    places = [along(order, axis) for axis in range(2, len(order))]
    axes = conversion.writer.constant(np.asarray(sorted(places), np.int32))
    kind = "MEAN" if one.kind == "GlobalAveragePool" else "REDUCE_MAX"
    tensor = conversion.tensor(one.inputs[0], order)
    conversion.emit(one.output, kind, [tensor, axes], order, keepDims=True)


def _pool(
    conversion: Conversion, one: Operator, kind: str, image: int, axes: list[_Axis], **options: Any
) -> None:
    if any(axis.dilation != 1 for axis in axes):
        refuse(one, "with dilations")
    conversion.emit(one.output, kind, [image], CHANNELS_LAST, **options | _window(axes))


def _window(axes: list[_Axis]) -> dict[str, int]:
    rows, columns = axes
    return {"filterHeight": rows.width, "filterWidth": columns.width,
            "strideH": rows.stride, "strideW": columns.stride}  # fmt: skip


def _axes(conversion: Conversion, one: Operator, kernel: Any) -> list[_Axis]:
    given, made = conversion.shape(one.inputs[0]), conversion.shape(one.output)
    if len(given) != 4:
        refuse(one, f"over {len(given) - 2} dimensions")
    strides, dilations = (one.attributes.get(word, [1, 1]) for word in ("strides", "dilations"))
    pads = one.attributes.get("pads", [0, 0, 0, 0])
    auto = one.attributes.get("auto_pad", b"NOTSET").decode()
    axes = []
    for number, place in enumerate(_ROWS_AND_COLUMNS):
        before, after = pads[number], pads[number + 2]
        if auto.startswith("SAME"):
            reach = (kernel[number] - 1) * dilations[number] + 1
            whole = max((made[place] - 1) * strides[number] + reach - given[place], 0)
            less, more = whole // 2, whole - whole // 2
            before, after = (less, more) if auto == "SAME_UPPER" else (more, less)
        axis = _Axis(
            given[place],
            made[place],
            int(kernel[number]),
            strides[number],
            dilations[number],
            before,
            after,
        )
        if one.attributes.get("ceil_mode") and (axis.made - 1) * axis.stride >= axis.size + before:
            refuse(one, "whose last window begins behind the input")
        axes.append(axis)
    return axes


def _bordered(
    conversion: Conversion,
    image: int,
    axes: list[_Axis],
    fill: float = 0.0,
    same: bool = True,
) -> tuple[int, dict[str, Any]]:
    """Return the input with its border, where that is none of LiteRT's own, and the padding."""
    strides = {"strideH": axes[0].stride, "strideW": axes[1].stride}
    if all(axis.is_inside for axis in axes):
        return image, {"padding": "VALID"} | strides
    if same and all(axis.is_same for axis in axes):
        return image, {"padding": "SAME"} | strides
    rows, columns = ((axis.before, axis.needed_after) for axis in axes)
    border = np.asarray([(0, 0), rows, columns, (0, 0)], np.int32)
    shape = np.asarray(conversion.writer.shape(image)) + border.sum(axis=1)
    inputs, kind = [image, conversion.writer.constant(border)], "PAD"
    if fill:
        how = conversion.writer.quantization(image)
        least = np.asarray(fill, np.float32) if how is None else np.asarray(-128, np.int8)
        inputs.append(conversion.writer.constant(least, quantization=how))
        kind = "PADV2"
    tensor = conversion.between(kind, inputs, shape.tolist(), conversion.writer.name(image))
    return tensor, {"padding": "VALID"} | strides
