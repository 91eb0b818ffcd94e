"""Reads what gives the same numbers another shape or order."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from facebench.harness.models.tflite_network.files import TfliteOperator
from facebench.harness.models.tflite_network.translation import (
    CHANNELS_FIRST,
    Order,
    Translation,
    plain,
    refuse,
    rule,
)

# Dimensions of before and after that hold the same elements: (3, 4) and (12,).
_Group = tuple[tuple[int, ...], tuple[int, ...]]


def axes_of(one: TfliteOperator, axes: Sequence[int], rank: int) -> list[int]:
    """Return dimensions, counted from the beginning, of which negative ones count from the end."""
    if not all(-rank <= axis < rank for axis in axes):
        refuse(one, f"is along {list(axes)} of {rank} dimensions")
    return sorted({axis % rank for axis in axes})


def axis_of(one: TfliteOperator, axis: int, rank: int) -> int:
    """Return one dimension, likewise."""
    return axes_of(one, [axis], rank)[0]


def without(order: Order, axes: Sequence[int]) -> Order:
    """Return an order less some dimensions, those that are left counted anew."""
    left = sorted(set(order) - set(axes))
    return tuple(left.index(dim) for dim in order if dim in left)


def reshaped(translation: Translation, number: int, shape: Sequence[int]) -> tuple[str, Order]:
    """Return a value in another shape, and the order of its dimensions.

    Where dimensions are joined or parted that lie side by side in ONNX too, nothing is moved.

    Args:
        translation: in which the value is.
        number: of its tensor.
        shape: asked for; at most one -1, for what is left.
    """
    dims = translation.dims(number)
    groups = None if translation.is_constant(number) else _groups(dims, tuple(shape))
    if groups is None:
        made = translation.emit("Reshape", [translation.value(number), translation.constant(shape)])
        return made, plain(len(shape))
    before, after = _placed(translation.orders(number), dims, groups)
    if len(shape) == 4 and _wide(after, shape) == _wide(CHANNELS_FIRST, shape):
        after = CHANNELS_FIRST  # as a convolution would have it
    asked = translation.constant([shape[dim] for dim in after])
    return translation.emit("Reshape", [translation.value(number, before), asked]), after


def _placed(
    orders: Sequence[Order], dims: Sequence[int], groups: Sequence[_Group]
) -> tuple[Order, Order]:
    """Return an order of a value, if possible one that it has, and that which a shape of it gets.

    Elements lie alike in both: the groups come one after the other, each with its dimensions as
    the tensor has them. Where a dimension of one element comes changes nothing.
    """
    found = []
    for made in orders:
        placed = sorted(groups, key=lambda group: min(map(made.index, group[0]), default=0))
        before = tuple(dim for group in placed for dim in group[0])
        after = tuple(dim for group in placed for dim in group[1])
        if _wide(made, dims) == _wide(before, dims):
            return made, after
        found.append((before, after))
    return found[0]


def _wide(order: Sequence[int], dims: Sequence[int]) -> list[int]:
    return [dim for dim in order if dims[dim] != 1]


def _groups(before: Sequence[int], after: tuple[int, ...]) -> list[_Group] | None:
    """Return groups of dimensions that hold the same elements; None where a shape is not known.

    A first dimension that is free in both is a group by itself.

    Example:
        >>> _groups((1, 4, 4, 6), (1, 16, 2, 3))
        [((0,), (0,)), ((1, 2), (1,)), ((3,), (2, 3))]
    """
    start = int(before[:1] == after[:1] == (-1,))
    rest, others = before[start:], after[start:]
    if min((*rest, *others), default=1) < 1 or prod(rest) != prod(others):
        return None
    groups: list[_Group] = [((0,), (0,))] if start else []
    left, right = _Cursor(before, start), _Cursor(after, start)
    while left.place < len(before) or right.place < len(after):
        left.take()
        right.take()
        while left.product != right.product:
            (left if left.product < right.product else right).take()
        groups.append((left.taken(), right.taken()))
    return groups


class _Cursor:
    """It takes dimensions of a shape, one after the other."""

    def __init__(self, dims: Sequence[int], start: int) -> None:
        self.dims, self.begin, self.place, self.product = dims, start, start, 1

    def take(self) -> None:
        """Take one more, where there is one."""
        if self.place < len(self.dims):
            self.product *= self.dims[self.place]
            self.place += 1

    def taken(self) -> tuple[int, ...]:
        """Return those taken since this was last asked."""
        found = tuple(range(self.begin, self.place))
        self.begin, self.product = self.place, 1
        return found


@rule("RESHAPE")
def _reshape(translation: Translation, one: TfliteOperator) -> None:
    given, asked = one.given(0), one.given(1)
    stated = translation.array(asked) if asked >= 0 else one.option("newShape", None)
    if stated is None and asked >= 0:  # worked out of the size of an image
        inputs = [translation.value(given), translation.value(asked)]
        made = translation.emit("Reshape", inputs)
        translation.keep(one, made, plain(len(translation.dims(one.outputs[0]))))
        return
    if stated is None:
        refuse(one, "has no shape")
    shape = [int(size) for size in stated]
    if any(size < -1 or not size for size in shape) or shape.count(-1) > 1:
        refuse(one, f"has the shape {shape}")
    dims = translation.dims(given)
    if -1 in shape and min(dims, default=1) > 0:
        shape[shape.index(-1)] = prod(dims) // -prod(shape)
    translation.keep(one, *reshaped(translation, given, shape))


@rule("SQUEEZE")
def _squeeze(translation: Translation, one: TfliteOperator) -> None:
    given = one.given(0)
    dims, order = translation.dims(given), translation.order(given)
    asked = one.option("squeezeDims", None)
    axes = [place for place, size in enumerate(dims) if size == 1] if asked is None else asked
    axes = axes_of(one, [int(axis) for axis in axes], len(dims))
    places = translation.constant(sorted(order.index(axis) for axis in axes))
    made = translation.emit("Squeeze", [translation.value(given, order), places])
    translation.keep(one, made, without(order, axes))


@rule("EXPAND_DIMS")
def _expand(translation: Translation, one: TfliteOperator) -> None:
    given = one.given(0)
    rank = len(translation.dims(given))
    (asked,) = translation.integers(one, 1, "axis")
    axis = axis_of(one, asked, rank + 1)
    place = translation.constant([axis])
    translation.keep(
        one, translation.emit("Unsqueeze", [translation.value(given), place]), plain(rank + 1)
    )


@rule("TRANSPOSE")
def _transpose(translation: Translation, one: TfliteOperator) -> None:
    given = one.given(0)
    turn = translation.integers(one, 1, "order")
    order = translation.order(given)
    if sorted(turn) != list(range(len(order))):
        refuse(one, f"has the order {turn}")
    # Nothing is moved: only what a dimension is called changes.
    value = translation.value(given, order)
    translation.keep(one, value, [turn.index(dim) for dim in order])


@rule("SHAPE")
def _shape(translation: Translation, one: TfliteOperator) -> None:
    order = translation.order(one.given(0))
    sizes = translation.emit("Shape", [translation.value(one.given(0), order)])
    if order != plain(len(order)):
        places = translation.constant([order.index(dim) for dim in plain(len(order))])
        sizes = translation.emit("Gather", [sizes, places])
    translation.keep(one, sizes, plain(1))


@rule("PACK")
def _pack(translation: Translation, one: TfliteOperator) -> None:
    rank = len(translation.dims(one.given(0))) + 1
    axis = axis_of(one, one.option("axis"), rank)
    place = translation.constant([axis])
    parts = [
        translation.emit("Unsqueeze", [translation.value(number, plain(rank - 1)), place])
        for number in one.inputs
    ]
    translation.keep(one, translation.emit("Concat", parts, axis=axis), plain(rank))


@rule("UNPACK")
def _unpack(translation: Translation, one: TfliteOperator) -> None:
    order = translation.order(one.given(0))
    axis = axis_of(one, one.option("axis"), len(order))
    place = order.index(axis)
    value = translation.value(one.given(0), order)
    sizes = translation.constant([1] * len(one.outputs))
    parts = translation.emit_several("Split", [value, sizes], len(one.outputs), axis=place)
    for number, part in enumerate(parts):
        made = translation.emit("Squeeze", [part, translation.constant([place])])
        translation.keep(one, made, without(order, [axis]), number)
