"""Reads what takes values apart, joins or borders them, and moves pixels about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from facebench.harness.models.tflite_network.files import TfliteOperator
from facebench.harness.models.tflite_network.shapes import axis_of, without
from facebench.harness.models.tflite_network.translation import (
    CHANNELS_FIRST,
    Order,
    Translation,
    plain,
    refuse,
    rule,
)

_LAST, _FIRST = np.iinfo(np.int64).max, np.iinfo(np.int64).min


@rule("CONCATENATION")
def _concatenate(translation: Translation, one: TfliteOperator) -> None:
    held = [number for number in one.inputs if not translation.is_constant(number)]
    order = translation.order(held[0] if held else one.given(0))
    axis = axis_of(one, one.option("axis"), len(order))
    parts = [translation.value(number, order) for number in one.inputs]
    translation.keep(one, translation.emit("Concat", parts, axis=order.index(axis)), order)


@rule("SPLIT")
def _split(translation: Translation, one: TfliteOperator) -> None:
    count, given = len(one.outputs), one.given(1)
    (asked,) = translation.integers(one, 0, "axis")
    dims = translation.dims(given)
    size = dims[axis_of(one, asked, len(dims))]
    if size < 1 or size % count:
        refuse(one, f"parts {size} in {count}")
    _part(translation, one, given, asked, [size // count] * count)


@rule("SPLIT_V")
def _split_sizes(translation: Translation, one: TfliteOperator) -> None:
    sizes = translation.integers(one, 1, "sizes")
    (asked,) = translation.integers(one, 2, "axis")
    dims = translation.dims(one.given(0))
    whole = dims[axis_of(one, asked, len(dims))]
    sizes = [whole - sum(sizes) - 1 if size == -1 else size for size in sizes]
    _part(translation, one, one.given(0), asked, sizes)


def _part(
    translation: Translation, one: TfliteOperator, given: int, asked: int, sizes: Sequence[int]
) -> None:
    order = translation.order(given)
    place = order.index(axis_of(one, asked, len(order)))
    inputs = [translation.value(given, order), translation.constant(sizes)]
    for number, part in enumerate(
        translation.emit_several("Split", inputs, len(one.outputs), axis=place)
    ):
        translation.keep(one, part, order, number)


@rule("SLICE")
def _slice(translation: Translation, one: TfliteOperator) -> None:
    starts = translation.integers(one, 1, "beginning")
    sizes = translation.integers(one, 2, "size")
    ends = [_LAST if n == -1 else start + n for start, n in zip(starts, sizes, strict=True)]
    order = translation.order(one.given(0))
    made = _sliced(translation, one, order, starts, ends, [1] * len(order))
    translation.keep(one, made, order)


@rule("STRIDED_SLICE")
def _strided_slice(translation: Translation, one: TfliteOperator) -> None:
    if one.option("ellipsisMask") or one.option("newAxisMask") or one.option("offset"):
        refuse(one, "has an ellipsis, a new dimension or an offset")
    starts, ends, steps = (
        translation.integers(one, place, what)
        for place, what in ((1, "beginning"), (2, "end"), (3, "step"))
    )
    begins, ended, shrunk = (
        _marked(one.option(name), len(starts))
        for name in ("beginMask", "endMask", "shrinkAxisMask")
    )
    for axis, step in enumerate(steps):
        if shrunk[axis]:
            if begins[axis] or step < 1:
                refuse(one, "takes one place of a dimension, and says two ways which")
            steps[axis], ends[axis] = 1, starts[axis] + 1 or _LAST
            continue
        if begins[axis]:
            starts[axis] = 0 if step > 0 else _LAST
        if ended[axis]:
            ends[axis] = _LAST if step > 0 else _FIRST
    order = translation.order(one.given(0))
    made = _sliced(translation, one, order, starts, ends, steps)
    axes = [axis for axis, each in enumerate(shrunk) if each]
    if axes:
        places = sorted(order.index(axis) for axis in axes)
        made = translation.emit("Squeeze", [made, translation.constant(places)])
    translation.keep(one, made, without(order, axes))


def _marked(bits: int, count: int) -> list[bool]:
    return [bool(bits >> place & 1) for place in range(count)]


def _sliced(
    translation: Translation,
    one: TfliteOperator,
    order: Order,
    starts: Sequence[int],
    ends: Sequence[int],
    steps: Sequence[int],
) -> str:
    if not len(starts) == len(ends) == len(steps) <= len(order):
        refuse(one, f"has {len(starts)} beginnings of {len(order)} dimensions")
    places = [order.index(axis) for axis in range(len(starts))]
    inputs = [list(starts), list(ends), places, list(steps)]
    value = translation.value(one.given(0), order)
    return translation.emit("Slice", [value, *map(translation.constant, inputs)])


@rule("GATHER")
def _gather(translation: Translation, one: TfliteOperator) -> None:
    if one.option("batchDims"):
        refuse(one, "has dimensions of a batch")
    given, places = one.given(0), one.given(1)
    rank, more = (len(translation.dims(number)) for number in (given, places))
    axis = axis_of(one, one.option("axis"), rank)
    inputs = [translation.value(given), translation.value(places)]
    translation.keep(one, translation.emit("Gather", inputs, axis=axis), plain(rank - 1 + more))


@rule("PAD", "PADV2", "MIRROR_PAD")
def _pad(translation: Translation, one: TfliteOperator) -> None:
    order = translation.order(one.given(0))
    around = np.reshape(translation.integers(one, 1, "border"), (-1, 2))
    if len(around) != len(order) or (around < 0).any():
        refuse(one, f"has a border of {len(around)} dimensions for {len(order)}")
    inputs = [translation.value(one.given(0), order)]
    inputs.append(translation.constant(around[list(order)].T.ravel()))
    attributes = {}
    if one.kind == "MIRROR_PAD":
        if one.option("mode"):
            refuse(one, "repeats the outermost pixels")
        attributes["mode"] = "reflect"
    elif one.given(2) >= 0:
        inputs.append(_number(translation, one.given(2)))
    translation.keep(one, translation.emit("Pad", inputs, **attributes), order)


def _number(translation: Translation, number: int) -> str:
    """Return a value of one element without its dimensions."""
    value, rank = translation.value(number), len(translation.dims(number))
    axes = translation.constant(list(range(rank)))
    return translation.emit("Squeeze", [value, axes]) if rank else value


@rule("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")
def _resize(translation: Translation, one: TfliteOperator) -> None:
    corners, half = one.option("alignCorners"), one.option("halfPixelCenters")
    how = "align_corners" if corners else "half_pixel" if half else "asymmetric"
    attributes: dict[str, Any] = {"mode": "linear", "coordinate_transformation_mode": how}
    if one.kind == "RESIZE_NEAREST_NEIGHBOR":
        # Where TFLite cuts off a place that it counts from the middle of a pixel, ONNX, which
        # counts from a pixel's own place, rounds.
        rounds = "round_prefer_ceil" if corners or half else "floor"
        attributes |= {"mode": "nearest", "nearest_mode": rounds}
    value = translation.value(one.given(0), CHANNELS_FIRST)
    places = translation.constant([0, 1])
    kept = translation.emit("Gather", [translation.emit("Shape", [value]), places])
    sizes = translation.emit("Concat", [kept, translation.value(one.given(1))], axis=0)
    made = translation.emit("Resize", [value, "", "", sizes], **attributes)
    translation.keep(one, made, CHANNELS_FIRST)


@rule("SPACE_TO_DEPTH", "DEPTH_TO_SPACE")
def _blocks_of_depth(translation: Translation, one: TfliteOperator) -> None:
    kind = {"SPACE_TO_DEPTH": "SpaceToDepth", "DEPTH_TO_SPACE": "DepthToSpace"}[one.kind]
    value = translation.value(one.given(0), CHANNELS_FIRST)
    made = translation.emit(kind, [value], blocksize=one.option("blockSize"))
    translation.keep(one, made, CHANNELS_FIRST)


@rule("SPACE_TO_BATCH_ND")
def _space_to_batch(translation: Translation, one: TfliteOperator) -> None:
    """Take every b-th row and column as an image of its own, of a map with a border."""
    rows, columns = _two(translation, one, "blocks")
    border = np.reshape(translation.integers(one, 2, "border"), (2, 2))
    value = translation.value(one.given(0), CHANNELS_FIRST)
    pads = translation.constant(np.array([0, 0, *border[:, 0], 0, 0, *border[:, 1]]))
    value = translation.emit("Pad", [value, pads])
    _, height, width, channels = translation.dims(one.outputs[0])
    _require_known(one, height, width, channels)
    parted = translation.constant([-1, channels, height, rows, width, columns])
    value = translation.emit("Reshape", [value, parted])
    value = translation.emit("Transpose", [value], perm=[3, 5, 0, 1, 2, 4])
    shape = translation.constant([-1, channels, height, width])
    translation.keep(one, translation.emit("Reshape", [value, shape]), CHANNELS_FIRST)


@rule("BATCH_TO_SPACE_ND")
def _batch_to_space(translation: Translation, one: TfliteOperator) -> None:
    """Put the rows and columns of several images between each other, and leave out a border."""
    rows, columns = _two(translation, one, "blocks")
    crops = np.reshape(translation.integers(one, 2, "border"), (2, 2))
    value = translation.value(one.given(0), CHANNELS_FIRST)
    _, height, width, channels = translation.dims(one.given(0))
    _require_known(one, height, width, channels)
    parted = translation.constant([rows, columns, -1, channels, height, width])
    value = translation.emit("Reshape", [value, parted])
    value = translation.emit("Transpose", [value], perm=[2, 3, 4, 0, 5, 1])
    whole = [-1, channels, height * rows, width * columns]
    value = translation.emit("Reshape", [value, translation.constant(whole)])
    if crops.any():
        ends = np.array(whole[2:]) - crops[:, 1]
        inside = [list(crops[:, 0]), list(ends), [2, 3]]
        value = translation.emit("Slice", [value, *map(translation.constant, inside)])
    translation.keep(one, value, CHANNELS_FIRST)


def _two(translation: Translation, one: TfliteOperator, what: str) -> list[int]:
    found = translation.integers(one, 1, what)
    if len(found) != 2 or min(found) < 1:
        refuse(one, f"has {what} {found}, where two are read")
    return found


def _require_known(one: TfliteOperator, *sizes: int) -> None:
    if min(sizes) < 1:
        refuse(one, "is of a map whose size is not fixed")
