"""A schedule found without search: convolutions blocked for vector registers.

A kernel of Relax is a padding, a convolution and the elementwise blocks after
it. The rule computes a tile of output channels by pixels of a row in
registers, over the whole reduction, and applies the elementwise blocks to it
before it is stored. Kernels of any other form stay plain loops.
"""

from __future__ import annotations

from typing import Any

from tvm import s_tir, tirx

# Pixels beyond a register's eight floats are no gain: LLVM takes wider vectors of
# odd lengths apart (MobileFaceNet took 14 ms with 8 and 47 ms with 16, AVX2, one
# thread). Four registers of sums leave room for the input, and for NEON's halves.
_PIXELS = 8
_SUMS = 32


def scheduled(function: tirx.PrimFunc) -> tirx.PrimFunc | None:
    """The function with its convolution blocked, or None where the rule does not apply."""
    schedule = s_tir.Schedule(function)
    convolution = _convolution(schedule)
    if convolution is None:
        return None
    try:
        _read_input_itself(schedule, convolution)
        _block(schedule, convolution, _join_consumers(schedule, convolution))
    except s_tir.ScheduleError:
        return None
    return schedule.mod["main"]


def _convolution(schedule: Any) -> Any | None:
    """The one block that reduces, if it has a convolution's loops and rows of several pixels."""
    blocks = schedule.get_child_blocks(schedule.get_sblock("root"))
    reducing = [block for block in blocks if _reduces(schedule, block)]
    if len(reducing) != 1:
        return None
    (block,) = reducing
    extents = _extents(schedule, schedule.get_loops(block))
    return block if len(extents) == 7 and extents[3] > 1 else None


def _reduces(schedule: Any, block: Any) -> bool:
    return any(var.iter_type == tirx.IterVar.CommReduce for var in schedule.get(block).iter_vars)


def _read_input_itself(schedule: Any, convolution: Any) -> None:
    """Padding by nothing copies the whole input; read the input instead."""
    for producer in schedule.get_producers(convolution):
        if type(schedule.get(producer).body.value).__name__ == "TensorLoad":
            schedule.compute_inline(producer)


def _join_consumers(schedule: Any, convolution: Any) -> Any:
    """One block of all elementwise blocks that follow; a copy where there are none."""
    root = schedule.get_sblock("root")
    (last,) = schedule.get_output_blocks(root)
    if _name(schedule, last) == _name(schedule, convolution):
        return schedule.cache_write(convolution, 0, "global")
    blocks = schedule.get_child_blocks(root)
    names = [_name(schedule, block) for block in blocks]
    for block in blocks[names.index(_name(schedule, convolution)) + 1 :]:
        if _name(schedule, block) != _name(schedule, last):
            schedule.compute_inline(block)
    return last


def _name(schedule: Any, block: Any) -> str:
    return str(schedule.get(block).name_hint)


def _block(schedule: Any, convolution: Any, last: Any) -> None:
    batch, channel, row, column = schedule.get_loops(last)
    input_channels = _extents(schedule, schedule.get_loops(convolution))[4]
    pixels = _divisor(_extents(schedule, [column])[0], _PIXELS)
    channels = _divisor(_extents(schedule, [channel])[0], max(_SUMS // pixels, 1))
    channel_tile, channel = schedule.split(channel, [None, channels])
    column_tile, column = schedule.split(column, [None, pixels])
    # Pointwise: a tile of the input stays in the cache while all channels are
    # made from it. Depthwise: no input is shared between channels.
    shared = [row, column_tile, channel_tile] if input_channels > 1 else [
        channel_tile, row, column_tile
    ]  # fmt: skip
    schedule.reorder(batch, *shared, channel, column)
    schedule.parallel(shared[0])
    schedule.set_scope(convolution, 0, "local")
    schedule.compute_at(convolution, shared[2], preserve_unit_loops=True)
    schedule.vectorize(column)
    schedule.unroll(channel)
    _, channel, _, column, *reduction = schedule.get_loops(convolution)[4:]
    schedule.reorder(*reduction, channel, column)
    schedule.vectorize(column)
    schedule.unroll(channel)
    schedule.decompose_reduction(convolution, reduction[0])


def _extents(schedule: Any, loops: Any) -> list[int]:
    return [int(schedule.get(loop).extent) for loop in loops]


def _divisor(extent: int, most: int) -> int:
    """The largest divisor of `extent` up to `most`: tiles of one size need no bounds checks."""
    return next(size for size in range(min(extent, most), 0, -1) if extent % size == 0)
