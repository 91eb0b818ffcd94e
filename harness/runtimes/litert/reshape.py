"""Reshapes values that lie in another order than ONNX's, and moves what has to be moved alone."""

from __future__ import annotations

from collections.abc import Sequence

from facebench.harness.runtimes.litert.conversion import Conversion, Placed

Shape = Sequence[int]

# Dimensions before and after that hold the same elements.
Group = tuple[list[int], list[int]]


def reshape(conversion: Conversion, kept: Placed, before: Shape, after: Shape) -> Placed:
    """Return a value reshaped as ONNX does it.

    Dimensions that are parted or joined are so where they lie: a shuffle of channels that lie
    last stays one of the last dimension, and rows and columns that become one are not moved.

    Args:
        conversion: that the value belongs to.
        kept: where the value is.
        before: its shape.
        after: its shape to be, of as many elements.
    """
    groups = sorted(_groups(before, after), key=lambda group: _place(kept, group))
    wanted = [one for old, _ in groups for one in old]
    lying = [one for one in kept.order if before[one] != 1]
    tensor = kept.tensor
    if lying != wanted:
        single = [one for one in kept.order if before[one] == 1]
        tensor = conversion.moved(kept, (*single, *wanted))
    order = _with_single([one for _, new in groups for one in new], after)
    return Placed(conversion.reshaped(tensor, [after[one] for one in order]), tuple(order))


def _place(kept: Placed, group: Group) -> int:
    return min(kept.order.index(one) for one in group[0])


def _groups(before: Shape, after: Shape) -> list[Group]:
    """Return the fewest dimensions that hold the same elements, those of one element left out.

    Example:
        >>> _groups((1, 6, 4, 4), (1, 2, 3, 16))
        [([1], [1, 2]), ([2, 3], [3])]
    """
    old = [one for one, size in enumerate(before) if size != 1]
    new = [one for one, size in enumerate(after) if size != 1]
    groups: list[Group] = []
    while old:
        parts = [old.pop(0)], [new.pop(0)]
        sizes = [before[parts[0][0]], after[parts[1][0]]]
        while sizes[0] != sizes[1]:
            less = int(sizes[1] < sizes[0])
            parts[less].append((old, new)[less].pop(0))
            sizes[less] *= (before, after)[less][parts[less][-1]]
        groups.append(parts)
    return groups


def _with_single(order: Sequence[int], shape: Shape) -> list[int]:
    """Return the order with the dimensions of one element, each behind the one before it."""
    found = list(order)
    for one, size in enumerate(shape):
        if size == 1:
            found.insert(found.index(one - 1) + 1 if one else 0, one)
    return found
