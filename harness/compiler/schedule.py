"""A schedule for functions that have no kernel of ours: vectors, and a loop for threads.

They are what TVM makes of elementwise operators, concatenations, transpositions and
reductions, fused. Of each, what is elementwise is joined into one loop nest, whose
innermost part becomes vectors and whose outermost is run by threads.
"""

from __future__ import annotations

from typing import Any

from tvm import s_tir, tirx

from facebench.harness.compiler.vectors import Vectors

# Vectors of a step of the innermost loop.
_UNROLLED = 4


def scheduled(function: tirx.PrimFunc, vectors: Vectors) -> tirx.PrimFunc | None:
    """Return the function with vectors, or None where the rule does not apply."""
    schedule = s_tir.Schedule(function)
    try:
        root = schedule.get_sblock("root")
        _inline(schedule, root)
        for block in schedule.get_child_blocks(root):
            _vectorise(schedule, block, vectors.lanes)
    except s_tir.ScheduleError:
        return None
    return schedule.mod["main"]


def _inline(schedule: Any, root: Any) -> None:
    """Elementwise steps into those that read them."""
    outputs = {str(schedule.get(block).name_hint) for block in schedule.get_output_blocks(root)}
    for block in schedule.get_child_blocks(root):
        if str(schedule.get(block).name_hint) not in outputs and not _reduces(schedule, block):
            try:
                schedule.compute_inline(block)
            except s_tir.ScheduleError:
                continue  # read by a reduction more than once; it stays a step of its own


def _reduces(schedule: Any, block: Any) -> bool:
    return any(var.iter_type == tirx.IterVar.CommReduce for var in schedule.get(block).iter_vars)


def _vectorise(schedule: Any, block: Any, lanes: int) -> None:
    kinds = [var.iter_type for var in schedule.get(block).iter_vars]
    loops = schedule.get_loops(block)
    if len(loops) != len(kinds):
        return
    spatial = [
        loop for loop, kind in zip(loops, kinds, strict=True) if kind != tirx.IterVar.CommReduce
    ]
    if not spatial:
        return
    reduced = [loop for loop in loops if all(not loop.same_as(s) for s in spatial)]
    *outer, inner = spatial
    extent = int(schedule.get(inner).extent)
    step = next(s for s in (_UNROLLED * lanes, 2 * lanes, lanes, 4, 2, 1) if extent % s == 0)
    rest, vector = schedule.split(inner, [None, step])
    schedule.reorder(*outer, rest, *reduced, vector)
    schedule.parallel(schedule.fuse(*outer, rest))
    schedule.vectorize(vector)
    if reduced:
        schedule.decompose_reduction(block, reduced[0])
