"""Sums along a row as vectors: each lane has a part, and parts are joined at the end.

Where what is summed lies side by side, an output is one number and no vector of outputs can be
made of it. Added one by one, numbers wait for one another, and a long sum loses digits; in as many
parts as lanes it does neither. Products, largest and smallest elements are had likewise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import tirx

# Parts of a sum, in vectors: additions to one wait four cycles for one another.
_VECTORS = 4

# A row of no more vectors may be one step, whatever its length.
_WHOLE = 16


def parts(extent: int, lanes: int) -> int:
    """Return in how many parts a sum of `extent` numbers is had: they divide it.

    Example:
        parts(128, 16) == 64, parts(96, 16) == 48, parts(49, 16) == 49, parts(12, 16) == 12
    """
    divisors = [n for n in range(1, _VECTORS * lanes + 1) if extent % n == 0]
    whole = [n for n in divisors if n % lanes == 0]
    if whole:
        return whole[-1]
    if extent <= _WHOLE * lanes and divisors[-1] < lanes:
        return extent
    return divisors[-1]


def along(block: Any, kinds: Sequence[int]) -> bool:
    """Return whether a reduction to one tensor reads memory along what it reduces.

    A product of matrices, which reads one of both along its outputs, does not.
    """
    if len(block.writes) > 1:
        return False
    variables = [var.var for var in block.iter_vars]
    reduce = tirx.IterVar.CommReduce
    inner = [var for var, kind in zip(variables, kinds, strict=True) if kind != reduce][-1]
    reduced = [var for var, kind in zip(variables, kinds, strict=True) if kind == reduce]
    last = [region.region[-1].min for region in block.reads]
    return any(_uses(index, reduced) for index in last) and not any(
        _uses(index, [inner]) for index in last
    )


def _uses(expression: Any, variables: Sequence[Any]) -> bool:
    free = tirx.analysis.undefined_vars(expression)
    return any(one.same_as(var) for one in free for var in variables)


def in_parts(
    schedule: Any, block: Any, outer: Sequence[Any], inner: Sequence[Any], lanes: int
) -> None:
    """Schedule a reduction that reads `along` what it reduces: one task for each output.

    All parts have their sums in one pass; then there are `lanes` of them, 4, and one.

    Args:
        schedule: of the function.
        block: the reduction.
        outer: its loops over outputs.
        inner: its loops over what is reduced.
        lanes: of a vector.
    """
    schedule.reorder(*outer, *inner)
    loop = schedule.fuse(*inner)
    steps = []
    count = parts(int(schedule.get(loop).extent), lanes)
    while count > 1:
        _, part = schedule.split(loop, [None, count])
        steps.append(schedule.rfactor(part, factor_axis=len(outer)))
        *outer, loop = schedule.get_loops(block)
        count = next((n for n in (lanes, 4) if count > n and count % n == 0), 1)
    task = schedule.fuse(*outer)
    if int(schedule.get(task).extent) > 1:
        schedule.parallel(task)
    for step in reversed(steps):
        schedule.compute_at(step, task, preserve_unit_loops=True)
        # Its loops are in the order of its variables: the part, one that reduces, others of one.
        kinds = [var.iter_type for var in schedule.get(step).iter_vars]
        _, *loops = schedule.get_loops(step)
        rest = loops.pop(kinds.index(tirx.IterVar.CommReduce))
        part, *others = loops
        schedule.reorder(*others, rest, part)
        schedule.vectorize(part)
        schedule.decompose_reduction(step, rest)
    schedule.decompose_reduction(block, loop)
