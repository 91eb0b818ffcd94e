"""Lists the ways to block a kernel that are worth a trial, and models which is the best.

The model counts what a tile of sums costs the busiest of a core's units. It knows
nothing of caches beyond their sizes, so that it is right to a few per cent where
tiles are compared, and search can be left to choose among the best.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

from facebench.harness.compiler import half_sums
from facebench.harness.compiler.integers.convolution import IntegerTiling
from facebench.harness.compiler.kernels import convolution, depthwise, strassen
from facebench.harness.compiler.kernels.emit import register_lanes, spans
from facebench.harness.compiler.kernels.sharing import Tiles, uneven
from facebench.harness.compiler.kernels.strips import share_rows
from facebench.harness.compiler.vectors import Vectors
from facebench.harness.compiler.workload import Convolution, Depthwise, Pooling, Workload

Tiling = (
    convolution.ConvolutionTiling
    | strassen.StrassenTiling
    | depthwise.DepthwiseTiling
    | IntegerTiling
)

# Bytes of the input that stay in the second level of the cache while all filters
# pass over them. Cores of phones have 512 KiB of it; the rest is for weights.
_CHUNK_BYTES = 1 << 18

# A cache line, and a map that stays in the first level of the cache.
_LINE_BYTES, _CLOSE_BYTES = 64, 1 << 15

# Instructions that start and end a tile, beyond those for each sum; and a loop's.
_TILE, _SUM, _LOOP = 12.0, 3.0, 3.0

# Registers that LLVM needs beyond the sums and factors of a long step, or it spills some.
_SPARE = 3

# Lines of 64 bytes at a distance of a multiple of 4096 bytes share the ways of one set
# of a first-level cache: 8, and some are for the weights.
_SET_BYTES, _WAYS = 4096, 6

# Cycles from a multiply-add to the next on its sum, and multiply-adds a cycle, of
# current x86-64 cores (Agner Fog's tables: 4 and 2 for Haswell to Zen 4).
_LATENCY, _RATE = 4.0, 2.0

# Of Strassen's algorithm, as measured on Zen 4: pixels of a map, and channels of its input and its
# output, below which it does not pay; pixels of a chunk; registers of a tile, beyond which LLVM
# moves many about; how many more chunks one of two threads may have, each with sums of its own.
_PIXELS, _CHANNELS, _CHUNK_PIXELS, _SUMS, _UNEVEN = 96, 64, 256, 24, 0.1

# Cycles of each sum that is kept and taken up again, and what more of each for each other; of a
# vector of the four sums of pixels, and how much longer that takes outside the first level of the
# cache; of a weight that is read in addition; and what of small tiles' loads is seen.
_HELD, _HELD_MORE, _SUMMED, _FAR, _COLD, _SEEN = 4.0, 0.75, 10.0, 2.5, 0.45, 1.05

# Rows of a window whose two rows of outputs are not too much code.
_LONGEST = 5

# What a core of a phone waits for a part of a cache line that is read again for each block of
# channels, where a row's lines do not stay in the first level: a share of the instructions.
_PART = 0.2

# Share of the loads' cycles that is seen although multiply-adds take longer.
_HIDDEN = 0.15


# Networks of one family, and targets with the same registers, ask for the same ones.
@lru_cache(maxsize=1024)
def best(work: Workload, vectors: Vectors) -> Tiling:
    """Return the tiling that the model finds cheapest."""
    return min(candidates(work, vectors), key=lambda tiling: cost(work, tiling, vectors))


def candidates(work: Workload, vectors: Vectors) -> Iterator[Tiling]:
    """Yield tilings that keep all sums in registers."""
    vectors = half_sums.registers(work, vectors)
    if isinstance(work, Convolution):
        yield from _convolutions(work, vectors)
        yield from _strassens(work, vectors)
    else:
        yield from _depthwise(work, vectors)


def _convolutions(work: Convolution, vectors: Vectors) -> Iterator[convolution.ConvolutionTiling]:
    filters = -(-work.filters // work.groups // vectors.lanes)
    pixels = work.batch * work.output[0] * work.output[1]
    pointwise = work.window.pointwise() and not work.planar
    chunks = _chunks(work, pixels, vectors) if pointwise else [work.output[1]]
    for count in range(1, filters + 1):
        free = vectors.registers - count
        most = free // (count + 1) if vectors.by_lane else (free - 1) // count
        for tile in range(1, min(most, chunks[0]) + 1):
            for unroll in _unrolled(work, vectors):
                for chunk in chunks:
                    for first in (True, False):
                        yield convolution.ConvolutionTiling(tile, count, unroll, chunk, first)


def _unrolled(work: Convolution, vectors: Vectors) -> tuple[int, ...]:
    """Return input channels a step. For 32-bit ARM LLVM loads all of a step's first, and spills."""
    if vectors.named:
        return (1,)
    shortest = vectors.lanes if vectors.by_lane else 4
    if work.shuffle > 1:  # channels lie in short runs
        return (shortest,)
    longest = 16 if vectors.by_lane else 8
    return tuple(steps for steps in (4, 8, 16) if shortest <= steps <= longest)


def _chunks(work: Convolution, pixels: int, vectors: Vectors) -> list[int]:
    """Return divisors of the pixels, the largest first: up to all, down to enough for 16 tasks."""
    fitting = max(_CHUNK_BYTES // (vectors.element_bytes * work.channels), 1)
    sizes = [
        size
        for size in range(pixels, 0, -1)
        if pixels % size == 0 and (size >= 24 or size == pixels) and pixels // size <= 64
    ]
    return [size for size in sizes if size <= fitting] or sizes[-1:]


def _strassens(work: Convolution, vectors: Vectors) -> Iterator[strassen.StrassenTiling]:
    """Yield tilings with seven products in place of eight, where those can pay.

    Weights pass through the caches once, and are 7/4 as many: a map has to have pixels enough, and
    cores of phones wait for memory. Sums of halves have too few digits in half precision. Small
    tiles, which are cheaper to keep, load too much where registers have few lanes and are few, and
    where a multiply-add takes no longer than a load: on Zen 5, with AVX-512 at its full width,
    MobileNetV1 takes 1.4 times as long.
    """
    all_pixels = work.batch * work.output[0] * work.output[1]
    if not strassen.halves(work) or all_pixels < _PIXELS:
        return
    if min(work.channels, work.filters) < _CHANNELS:
        return
    if not vectors.halved or vectors.element != "float32":
        return
    chunks = [
        size
        for size in range(8, min(all_pixels // 4, _CHUNK_PIXELS) + 1, 2)
        if all_pixels % size == 0 and uneven(all_pixels // size, 2) <= _UNEVEN
    ]
    filters = -(-work.filters // 2 // vectors.lanes)
    unroll = _unrolled(work, vectors)[0]
    for count in range(1, min(filters, 4) + 1):
        free = vectors.registers - count
        most = (free - 1) // count
        for chunk in chunks:
            for pixels in range(4, min(most, chunk // 2, _SUMS // count) + 1):
                # A large tile that is all of a task takes LLVM many moves.
                if count * pixels <= 8 or pixels <= chunk // 4:
                    yield strassen.StrassenTiling(pixels, count, unroll, chunk)


def _depthwise(work: Depthwise | Pooling, vectors: Vectors) -> Iterator[depthwise.DepthwiseTiling]:
    held = work.window.kernel[1] if isinstance(work, Depthwise) else 0
    # On x86-64 loads are not what holds them.
    both = vectors.by_lane and isinstance(work, Depthwise)
    both = both and work.window.kernel[0] <= _LONGEST and share_rows(work.window, work.output[0])
    for count in range(1, min(8, -(-work.channels // vectors.lanes)) + 1):
        most = (vectors.registers - count) // count - held
        for tile in range(1, min(max(most, 1), work.output[1]) + 1):
            for first in (True, False):
                yield depthwise.DepthwiseTiling(tile, count, first)
                if both and 2 * tile <= most:
                    yield depthwise.DepthwiseTiling(tile, count, first, rows=2)


def cost(work: Workload, tiling: Tiling, vectors: Vectors) -> float:
    """Return the modelled cost of a workload: instructions where lanes are factors, else cycles."""
    vectors = half_sums.registers(work, vectors)
    if isinstance(tiling, strassen.StrassenTiling):
        assert isinstance(work, Convolution)
        return _strassen_cost(work, tiling, vectors)
    if isinstance(work, Convolution):
        assert isinstance(tiling, convolution.ConvolutionTiling)
        return _convolution_cost(work, tiling, vectors)
    assert isinstance(tiling, depthwise.DepthwiseTiling)
    return _depthwise_cost(work, tiling, vectors)


def tasks(work: Workload, tiling: Tiling, vectors: Vectors) -> int:
    """Return how many parts there are of a kernel's work, which threads share in order."""
    vectors = half_sums.registers(work, vectors)
    whole = _whole_tasks(work, tiling, vectors)
    if isinstance(tiling, strassen.StrassenTiling):
        assert isinstance(work, Convolution)
        return whole * -(-work.filters // 2 // (tiling.vectors * vectors.lanes))
    if not isinstance(tiling, convolution.ConvolutionTiling):
        return whole
    assert isinstance(work, Convolution)
    if not work.window.pointwise() or work.planar:
        return whole
    return whole * Tiles(tiling.chunk, tiling.pixels).parts(whole)


def _whole_tasks(work: Workload, tiling: Tiling, vectors: Vectors) -> int:
    """Return how many parts there would be if none were cut for threads to share them."""
    assert not isinstance(tiling, IntegerTiling)
    pixels = work.batch * work.output[0] * work.output[1]
    if isinstance(tiling, strassen.StrassenTiling):
        return pixels // tiling.chunk
    width = tiling.vectors * vectors.lanes
    if isinstance(tiling, convolution.ConvolutionTiling):
        assert isinstance(work, Convolution)
        blocks = work.groups * -(-work.filters // work.groups // width)
        return pixels // tiling.chunk * blocks
    return work.batch * -(-work.output[0] // tiling.rows) * -(-work.channels // width)


def _convolution_cost(
    work: Convolution, tiling: convolution.ConvolutionTiling, vectors: Vectors
) -> float:
    pixels = work.batch * work.output[0] * work.output[1]
    total = 0.0
    blocks = _blocks(work.filters // work.groups, tiling.vectors * vectors.lanes)
    for _, count, size in spans(tiling.chunk, tiling.pixels):
        for width, times in blocks:
            registers = len(register_lanes(width, vectors.lanes))
            crowded = _crowding(size, work.channels * work.window.stride[1], vectors)
            step = _step(size, registers, vectors, 1 if work.planar else crowded, tiling.unroll)
            step += _LOOP / tiling.unroll + _spilled(work, size, registers, vectors)
            total += count * times * (step * work.reduced + _tile(size * registers, vectors))
    chunks = pixels // tiling.chunk
    total *= chunks * work.groups * (1 + _order(work, tiling))
    return total * _shared(work, tiling, vectors)


def _shared(work: Workload, tiling: Tiling, vectors: Vectors) -> float:
    """Return what it costs that threads share the work unevenly, or that it is cut for that."""
    count = _whole_tasks(work, tiling, vectors)
    return 1 + 0.1 * (uneven(count, 2) + uneven(count, 4))


def _strassen_cost(work: Convolution, tiling: strassen.StrassenTiling, vectors: Vectors) -> float:
    channels, filters, pixels = work.channels // 2, work.filters // 2, tiling.chunk // 2
    wide = vectors.lanes / 8
    total = 0.0
    for _, count, size in spans(pixels, tiling.pixels):
        for width, times in _blocks(filters, tiling.vectors * vectors.lanes):
            registers = len(register_lanes(width, vectors.lanes))
            sums = size * registers
            loads = (registers * wide + size) / 2
            step = _SEEN * max(sums * wide / _RATE, loads, _LATENCY)
            held = (_HELD + _HELD_MORE * sums) * sums
            total += count * times * (strassen.PRODUCTS * step * channels + held)
    summed = _SUMMED * pixels * channels / vectors.lanes
    if strassen.SUMS * vectors.element_bytes * pixels * channels > _CLOSE_BYTES:
        summed *= _FAR
    total = (total + summed) * _whole_tasks(work, tiling, vectors)
    cold = _COLD * work.channels * work.filters
    return total * _shared(work, tiling, vectors) + cold


def _order(work: Convolution, tiling: convolution.ConvolutionTiling) -> float:
    """Breaks ties: what is read again and again should be the smaller of both."""
    weights = work.filters * work.reduced
    inputs = work.batch * work.input[0] * work.input[1] * work.channels
    wrong = tiling.weights_first != (weights > inputs)
    return 0.01 * wrong - 1e-6 * tiling.chunk


def _step(pixels: int, registers: int, vectors: Vectors, crowded: float, unroll: int) -> float:
    """Return the cost of one input channel of a tile."""
    if vectors.by_lane:
        held = pixels * registers + registers + pixels
        full = unroll > 8 and held > vectors.registers - _SPARE
        spilled = 0.08 * pixels * registers if full else 0.0
        return pixels * registers + registers / 2 + crowded * pixels / vectors.lanes + spilled
    wide = vectors.lanes / 8
    adds = pixels * registers * wide / _RATE
    loads = (registers * wide + crowded * pixels) / 2
    return max(adds, loads, _LATENCY) + _HIDDEN * loads


def _spilled(work: Convolution, pixels: int, registers: int, vectors: Vectors) -> float:
    """Loads more a step where the row of a planar input needs registers of its own."""
    if not work.planar:
        return 0.0
    row = (pixels - 1) * work.window.stride[1] + work.window.kernel[1]
    needed = pixels * registers + registers + row / (vectors.lanes if vectors.by_lane else 1)
    return max(0.0, needed - vectors.registers)


def _crowding(lines: int, elements: int, vectors: Vectors) -> float:
    """Return how much longer loads take that fall `elements` apart: they may evict one another."""
    sets = _SET_BYTES // math.gcd(_SET_BYTES, vectors.element_bytes * elements)
    return 1 + 0.3 * max(0, lines / sets - _WAYS)


def _tile(sums: int, vectors: Vectors) -> float:
    return _TILE + _SUM * sums * (1 if vectors.by_lane else vectors.lanes / 16)


def _depthwise_cost(
    work: Depthwise | Pooling, tiling: depthwise.DepthwiseTiling, vectors: Vectors
) -> float:
    kernel = work.window.kernel
    total = 0.0
    for _, count, size in spans(work.output[1], tiling.pixels):
        columns = (size - 1) * work.window.stride[1] + (kernel[1] - 1) * work.window.dilation[1] + 1
        for width, times in _blocks(work.channels, tiling.vectors * vectors.lanes):
            registers = len(register_lanes(width, vectors.lanes))
            if tiling.rows > 1:
                total += count * times * _rows_cost(work, size, columns, registers, vectors)
                continue
            adds = size * kernel[1] * registers
            loads: float = (min(columns, size * kernel[1]) + kernel[1]) * registers
            if vectors.by_lane:
                row = adds + loads + _LOOP
            else:
                loads *= _crowding(columns * kernel[0], work.channels, vectors)
                wide = vectors.lanes / 8
                row = max(adds * wide / _RATE, loads * wide / 2, _LATENCY * kernel[1])
                row += _HIDDEN * loads * wide / 2 + _LOOP
            total += count * times * (row * kernel[0] + _tile(size * registers, vectors))
    strips = -(-work.output[0] // tiling.rows)
    return total * work.batch * strips * _reread(work, tiling, vectors)


def _rows_cost(
    work: Depthwise | Pooling, size: int, columns: int, registers: int, vectors: Vectors
) -> float:
    """Return instructions of a tile of two rows, whose weights stay in registers if they fit."""
    kernel, stride, taps = work.window.kernel, work.window.stride[0], work.window.taps
    sums = 2 * size * registers
    loads = (kernel[0] + stride) * columns + taps
    kept = max(0, sums + (taps + 2) * registers + _SPARE - vectors.registers)
    return sums * taps + loads * registers + kept + _tile(sums, vectors)


def _reread(
    work: Depthwise | Pooling, tiling: depthwise.DepthwiseTiling, vectors: Vectors
) -> float:
    """Return what it costs to read parts of cache lines, again for each block of channels."""
    size = vectors.element_bytes
    block = size * min(tiling.vectors * vectors.lanes, work.channels)
    parts = max(1.0, _LINE_BYTES / block)
    if not tiling.channels_first:
        lines = work.window.kernel[0] + (tiling.rows - 1) * work.window.stride[0]
        far = size * lines * work.input[1] * work.channels > _CLOSE_BYTES
        return 1.001 + (_PART * (parts - 1) if vectors.by_lane and far else 0.0)
    inputs = size * work.batch * work.input[0] * work.input[1] * work.channels
    if inputs <= _CLOSE_BYTES:
        return 1.0
    return (1.01 if vectors.by_lane else 1.0) + 0.5 * (parts - 1)


def _blocks(channels: int, width: int) -> list[tuple[int, int]]:
    """Return (channels, blocks of so many)."""
    full, rest = divmod(channels, width)
    return [(width, full)] * bool(full) + [(rest, 1)] * bool(rest)
