"""A schedule for functions that have no kernel of ours: vectors, and a loop for threads.

They are what TVM makes of elementwise operators, concatenations, transpositions and
reductions, fused. Of each, what is elementwise is joined into one loop nest, whose
innermost part becomes vectors and whose outermost is run by threads.
"""

from __future__ import annotations

import math
from typing import Any

from tvm import s_tir, tirx

from facebench.harness.compiler import reductions
from facebench.harness.compiler.vectors import Vectors

# Lanes of a core that computes in half precision.
_HALVES = 8


def scheduled(function: tirx.PrimFunc, vectors: Vectors) -> tirx.PrimFunc | None:
    """Return the function with vectors, or None where the rule does not apply."""
    schedule = s_tir.Schedule(function)
    # Sums in half precision have the same order on every machine: they are rounded at each step.
    lanes = _HALVES if vectors.element == "float16" else vectors.lanes
    try:
        root = schedule.get_sblock("root")
        _inline(schedule, root)
        for block in schedule.get_child_blocks(root):
            _vectorise(schedule, block, lanes)
    except s_tir.ScheduleError:
        return None
    return schedule.mod["main"]


def _inline(schedule: Any, root: Any) -> None:
    """Elementwise steps into those that read them."""
    outputs = {str(schedule.get(block).name_hint) for block in schedule.get_output_blocks(root)}
    for block in schedule.get_child_blocks(root):
        if str(schedule.get(block).name_hint) in outputs or _reduces(schedule, block):
            continue
        readers = [_reduces(schedule, reader) for reader in schedule.get_consumers(block)]
        # A softmax's exponentials, of which there is a sum too, are computed once.
        if not any(readers) or all(readers):
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
    reduced = [kind == tirx.IterVar.CommReduce for kind in kinds]
    outer = [loop for loop, one in zip(loops, reduced, strict=True) if not one]
    inner = [loop for loop, one in zip(loops, reduced, strict=True) if one]
    if not outer:
        return
    summed = math.prod(int(schedule.get(loop).extent) for loop in inner)
    if reductions.parts(summed, lanes) > 1 and reductions.along(schedule.get(block), kinds):
        reductions.in_parts(schedule, block, outer, inner, lanes)
        return
    *outer, last = outer
    step = reductions.parts(int(schedule.get(last).extent), lanes)
    rest, vector = schedule.split(last, [None, step])
    schedule.reorder(*outer, rest, *inner, vector)
    task = schedule.fuse(*outer, rest)
    if int(schedule.get(task).extent) > 1:
        schedule.parallel(task)
    schedule.vectorize(vector)
    if inner:
        schedule.decompose_reduction(block, inner[0])
