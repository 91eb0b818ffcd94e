"""Writes what only moves numbers: to other shapes and orders, apart and together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facebench.harness.models.onnx_cost.graph import Operator
from facebench.harness.runtimes.litert.conversion import (
    CHANNELS_LAST,
    Conversion,
    Placed,
    along,
    refuse,
    rule,
)
from facebench.harness.runtimes.litert.reshape import reshape

# Parts for which LiteRT's kernels have one operator; of more there is a slice each.
_MOST_PARTS = 4


@rule("Reshape", "Flatten", "Squeeze", "Unsqueeze")
def _reshape(conversion: Conversion, one: Operator) -> None:
    before, after = conversion.shape(one.inputs[0]), conversion.shape(one.output)
    conversion.keep(one.output, reshape(conversion, conversion.kept(one.inputs[0]), before, after))


@rule("Transpose")
def _transpose(conversion: Conversion, one: Operator) -> None:
    kept = conversion.kept(one.inputs[0])
    turn = one.attributes.get("perm", list(range(len(kept.order)))[::-1])
    conversion.keep(one.output, _turned(kept, turn))


@rule("DepthToSpace", "SpaceToDepth")
def _cells(conversion: Conversion, one: Operator) -> None:
    """Write square cells of a map, taken apart or joined, as reshapes about a transposition."""
    side = one.attributes["blocksize"]
    images, channels, rows, columns = before = conversion.shape(one.inputs[0])
    if one.kind == "SpaceToDepth":
        parted = (images, channels, rows // side, side, columns // side, side)
        turn = (0, 3, 5, 1, 2, 4)
    elif one.attributes.get("mode", b"DCR") == b"CRD":
        parted = (images, channels // side**2, side, side, rows, columns)
        turn = (0, 1, 4, 2, 5, 3)
    else:
        parted = (images, side, side, channels // side**2, rows, columns)
        turn = (0, 3, 4, 1, 5, 2)
    kept = reshape(conversion, conversion.kept(one.inputs[0]), before, parted)
    shape = [parted[axis] for axis in turn]
    made = reshape(conversion, _turned(kept, turn), shape, conversion.shape(one.output))
    conversion.keep(one.output, made)


@rule("Concat")
def _concat(conversion: Conversion, one: Operator) -> None:
    worked_out = [name for name in one.inputs if conversion.array(name) is None]
    order = conversion.kept(max(worked_out, key=conversion.graph.elements)).order
    tensors = [conversion.tensor(name, order) for name in one.inputs]
    axis = along(order, one.attributes["axis"])
    conversion.emit(one.output, "CONCATENATION", tensors, order, axis=axis)


@rule("Split")
def _split(conversion: Conversion, one: Operator) -> None:
    kept, writer = conversion.kept(one.inputs[0]), conversion.writer
    axis = one.attributes.get("axis", 0)
    place = along(kept.order, axis)
    sizes = [conversion.shape(name)[axis] for name in one.outputs]
    if len(set(sizes)) == 1 and len(sizes) <= _MOST_PARTS:
        shapes = [[conversion.shape(name)[i] for i in kept.order] for name in one.outputs]
        made = [writer.tensor(name, shape, conversion.quantizations.get(name))
                for name, shape in zip(one.outputs, shapes, strict=True)]  # fmt: skip
        number = writer.constant(np.asarray(place, np.int32))
        writer.add("SPLIT", [number, kept.tensor], made, numSplits=len(made))
        for name, tensor in zip(one.outputs, made, strict=True):
            conversion.keep(name, Placed(tensor, kept.order))
        return
    for name, end in zip(one.outputs, np.cumsum(sizes), strict=True):
        starts = [0] * len(kept.order)
        starts[place] = int(end) - conversion.shape(name)[axis]
        _cut(conversion, kept, starts, name)


@rule("Slice")
def _slice(conversion: Conversion, one: Operator) -> None:
    shape, kept = conversion.shape(one.inputs[0]), conversion.kept(one.inputs[0])
    first, axes, steps = _cuts(conversion, one)
    if any(step < 1 for step in steps):
        refuse(one, "backwards")
    starts, strides = [0] * len(shape), [1] * len(shape)
    for start, axis, step in zip(first, axes, steps, strict=True):
        place, size = along(kept.order, axis), shape[axis]
        starts[place] = max(min(start + size if start < 0 else start, size), 0)
        strides[place] = step
    if all(step == 1 for step in strides):
        _cut(conversion, kept, starts, one.output)
        return
    made = [conversion.shape(one.output)[axis] for axis in kept.order]
    ends = [start + (size - 1) * step + 1
            for start, size, step in zip(starts, made, strides, strict=True)]  # fmt: skip
    limits = [conversion.writer.constant(np.asarray(each, np.int32))
              for each in (starts, ends, strides)]  # fmt: skip
    conversion.emit(one.output, "STRIDED_SLICE", [kept.tensor, *limits], kept.order)


@rule("Gather")
def _gather(conversion: Conversion, one: Operator) -> None:
    """Write what takes one number's place, or places in a row, as a slice."""
    places = conversion.constant(one, 1, "places")
    shape, kept = conversion.shape(one.inputs[0]), conversion.kept(one.inputs[0])
    axis = one.attributes.get("axis", 0) % len(shape)
    wanted = places.flatten() % shape[axis]
    if places.ndim > 1 or (np.diff(wanted) != 1).any():
        refuse(one, "of places that are not in a row")
    starts = [0] * len(shape)
    starts[along(kept.order, axis)] = int(wanted[0])
    taken = [len(wanted) if i == axis else size for i, size in enumerate(shape)]
    cut = _slice_of(conversion, kept, starts, [taken[i] for i in kept.order], one.output)
    conversion.keep(one.output, reshape(conversion, cut, taken, conversion.shape(one.output)))


@rule("Pad")
def _pad(conversion: Conversion, one: Operator) -> None:
    if one.attributes.get("mode", b"constant") != b"constant":
        refuse(one, "in another mode than constant")
    kept, writer = conversion.kept(one.inputs[0]), conversion.writer
    rank = len(kept.order)
    pads = _whole_numbers(conversion, one, 1, "pads")
    axes = [axis % rank for axis in _whole_numbers(conversion, one, 3, "axes")] or list(range(rank))
    border = np.zeros((rank, 2), np.int32)
    for axis, ends in zip(axes, np.reshape(pads, (2, -1)).T, strict=True):
        border[along(kept.order, axis)] = ends
    if (border < 0).any():
        refuse(one, "by less than nothing")
    inputs = [kept.tensor, writer.constant(border)]
    fill = conversion.constant(one, 2, "value") if conversion.given(one, 2) else np.zeros(())
    if fill.any():
        inputs.append(writer.constant(fill.astype(np.float32).reshape(())))
    conversion.emit(one.output, "PADV2" if fill.any() else "PAD", inputs, kept.order)


@rule("Expand")
def _expand(conversion: Conversion, one: Operator) -> None:
    after = conversion.shape(one.output)
    before = conversion.shape(one.inputs[0])
    full = (1,) * (len(after) - len(before)) + before
    kept = reshape(conversion, conversion.kept(one.inputs[0]), before, full)
    extents = np.asarray([after[axis] for axis in kept.order], np.int32)
    inputs = [kept.tensor, conversion.writer.constant(extents)]
    conversion.emit(one.output, "BROADCAST_TO", inputs, kept.order)


# How ONNX says which place of the input one of the output is taken from, and LiteRT's options.
_LINEAR = {
    "half_pixel": {"halfPixelCenters": True},
    "pytorch_half_pixel": {"halfPixelCenters": True},
    "align_corners": {"alignCorners": True},
    "asymmetric": {},
}


@rule("Resize", "Upsample")
def _resize(conversion: Conversion, one: Operator) -> None:
    mode = one.attributes.get("mode", b"nearest").decode()
    where = one.attributes.get("coordinate_transformation_mode", b"half_pixel").decode()
    rounded = one.attributes.get("nearest_mode", b"round_prefer_floor").decode()
    kind = {"nearest": "RESIZE_NEAREST_NEIGHBOR", "linear": "RESIZE_BILINEAR"}.get(mode)
    options = _LINEAR.get(where)
    plain = mode == "linear" or (where, rounded) == ("asymmetric", "floor")
    given, made = conversion.shape(one.inputs[0]), conversion.shape(one.output)
    if kind is None or options is None or not plain or len(given) != 4 or given[:2] != made[:2]:
        refuse(one, f"in mode {mode}, {where}, {rounded}")
    image = conversion.tensor(one.inputs[0], CHANNELS_LAST)
    size = conversion.writer.constant(np.asarray(made[2:], np.int32))
    conversion.emit(one.output, kind, [image, size], CHANNELS_LAST, **options)


def _turned(kept: Placed, turn: Sequence[int]) -> Placed:
    """Return a value transposed: it stays where it is."""
    return Placed(kept.tensor, tuple(list(turn).index(axis) for axis in kept.order))


def _cut(conversion: Conversion, kept: Placed, starts: Sequence[int], name: str) -> None:
    """Give a value that is a part of another one, from these places of its tensor on."""
    sizes = [conversion.shape(name)[axis] for axis in kept.order]
    conversion.keep(name, _slice_of(conversion, kept, starts, sizes, name))


def _slice_of(
    conversion: Conversion, kept: Placed, starts: Sequence[int], sizes: Sequence[int], name: str
) -> Placed:
    writer = conversion.writer
    if writer.shape(kept.tensor) == tuple(sizes):
        return kept
    limits = [writer.constant(np.asarray(each, np.int32)) for each in (starts, sizes)]
    return Placed(conversion.between("SLICE", [kept.tensor, *limits], sizes, name), kept.order)


def _cuts(conversion: Conversion, one: Operator) -> tuple[list[int], list[int], list[int]]:
    """Return where a slice begins, along which dimensions, and its steps."""
    if "starts" in one.attributes:
        starts = one.attributes["starts"]
        return starts, one.attributes.get("axes", list(range(len(starts)))), [1] * len(starts)
    starts = _whole_numbers(conversion, one, 1, "beginning")
    axes = _whole_numbers(conversion, one, 3, "axes") or list(range(len(starts)))
    return starts, axes, _whole_numbers(conversion, one, 4, "steps") or [1] * len(starts)


def _whole_numbers(conversion: Conversion, one: Operator, place: int, what: str) -> list[int]:
    """Return the whole numbers that an input holds; none where it is left out."""
    if what in one.attributes:
        return list(one.attributes[what])
    if not conversion.given(one, place):
        return []
    return [int(number) for number in conversion.constant(one, place, what).flat]
