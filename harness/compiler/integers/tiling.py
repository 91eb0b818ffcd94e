"""Chooses how a kernel of integers is blocked, and lists the other ways that are worth a trial."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from facebench.harness.compiler.integers.convolution import IntegerTiling
from facebench.harness.compiler.integers.instructions import lanes_of
from facebench.harness.compiler.integers.lanes import QUAD
from facebench.harness.compiler.integers.strips import fits
from facebench.harness.compiler.kernels.emit import spans
from facebench.harness.compiler.vectors import ByteVectors
from facebench.harness.compiler.workload import Convolution, Depthwise, Workload

# Rows of a tile that is narrow.
_PIXELS = 14

# Bytes of a line of the cache, and of a map that stays in its first level.
_LINE, _CLOSE = 64, 1 << 14

# Pixels that stay in the caches while all filters pass over them.
_CHUNK = 256

# Instructions that start and end a tile beyond those for each register, and a loop's.
_TILE, _LOOP = 12.0, 4.0

# Instructions that finish a register of sums with PReLU, and registers that are stored together.
_FINISH, _STORE = 6.0, 8.0

# Instructions that load four columns and interleave them, for registers stored together.
_INTERLEAVE = 8.0

# Share of a step's products whose sums do not stay in registers, where it needs too many.
_SPILLED = 0.15


def tiling(work: Convolution | Depthwise, vectors: ByteVectors) -> IntegerTiling:
    """Return the tiling of a workload that has no record."""
    if isinstance(work, Depthwise):
        return _depthwise_tiling(work, vectors)
    sums, width = _tile(vectors)
    if vectors.dot and work.window.taps > 1:
        sums = vectors.registers * 5 // 8  # of more LLVM keeps some in memory
    if vectors.arm and not vectors.dot and work.channels // work.groups // QUAD % 2:
        sums = vectors.registers // 2  # one four of channels at a time wants half the weights
    width = min(width, work.filters // work.groups)
    count = _registers(width, work, vectors)
    rows = max(1, min(sums // count, _PIXELS))
    steps = _steps(work, _unroll(vectors))
    return IntegerTiling(rows, width, _chunks(work)[0], _weights_first(work), steps)


def _depthwise_tiling(work: Depthwise, vectors: ByteVectors) -> IntegerTiling:
    most = 4 if vectors.arm or (vectors.dot and vectors.registers > 16) else 2
    if not vectors.dot and vectors.registers <= 16:
        most = 1  # each register of sums takes one of magnitudes and one of signs
    outputs, width = min(most, work.output[1]), min(vectors.packed, work.channels)
    if vectors.arm and vectors.dot and fits(work.window, work.output[0]):
        outputs, width = min(3, work.output[1]), min(2 * vectors.lanes, work.channels)
        return IntegerTiling(outputs, width, work.output[1], False, unroll=1, rows=2)
    # A line of the cache is read whole, or stays until the rest of it is.
    close = work.input[0] * work.input[1] * work.channels <= _CLOSE
    whole = vectors.packed >= _LINE and work.window.stride[1] == 1
    return IntegerTiling(outputs, width, work.output[1], close or whole, unroll=1)


def candidates(work: Workload, vectors: ByteVectors) -> Iterator[IntegerTiling]:
    """Yield tilings whose sums fit the registers, the one of a workload without a record first."""
    assert isinstance(work, Convolution | Depthwise)
    chosen = tiling(work, vectors)
    yield chosen
    if isinstance(work, Depthwise):
        every = _depthwise(work, vectors)
    else:
        every = _convolutions(work, vectors)
    yield from (one for one in dict.fromkeys(every) if one != chosen)


def searched(work: Convolution | Depthwise, arm: bool) -> Convolution | Depthwise:
    """Return the workload that has the record of this one.

    What its ranges and slopes are changes a step's last instructions, and which tiling is best
    hardly: one record holds whatever the weights.
    """
    epilogue: list[str] = [step for step in ("add", "real") if step in work.epilogue]
    if {"prelu", "leaky"} & set(work.epilogue):
        epilogue.append("prelu")
    if arm and "real" not in work.epilogue:
        epilogue.append("short")
    return replace(work, epilogue=tuple(epilogue))


def cost(work: Convolution | Depthwise, one: IntegerTiling, vectors: ByteVectors) -> float:
    """Return about how many instructions a kernel executes."""
    if isinstance(work, Depthwise):
        return _depthwise_cost(work, one, vectors)
    reduced = work.channels // work.groups * work.window.taps / QUAD
    filters, total = work.filters // work.groups, 0.0
    full, rest = divmod(filters, one.width)
    for width, times in [(one.width, full), (rest, bool(rest))]:
        if not times:
            continue
        together = lanes_of(vectors).registers(width, "real" not in work.epilogue)
        registers = sum(map(len, together))
        for _, count, size in spans(one.chunk, one.pixels):
            step = _step(size, registers, vectors) + _LOOP / one.unroll
            end = size * (_FINISH * registers + _STORE * len(together))
            total += times * count * (reduced * step + _TILE + end)
    wrong = one.weights_first != _weights_first(work)
    return total * _pixels(work) / one.chunk * work.groups * (1 + 0.01 * wrong)


def _convolutions(work: Convolution, vectors: ByteVectors) -> Iterator[IntegerTiling]:
    most = _unroll(vectors)
    steps = sorted({_steps(work, most), _steps(work, most // 2 or 2)})
    for width in _widths(work.filters // work.groups, vectors):
        count = _registers(width, work, vectors)
        most = min((vectors.registers - count - 1) // count, 2 * _PIXELS)
        for rows in range(1, most + 1):
            for chunk in _chunks(work):
                for first in (True, False):
                    for unroll in steps:
                        yield IntegerTiling(rows, width, chunk, first, unroll)


def _depthwise(work: Depthwise, vectors: ByteVectors) -> Iterator[IntegerTiling]:
    both = fits(work.window, work.output[0])
    for width in _widths(work.channels, vectors):
        count = sum(map(len, lanes_of(vectors).registers(width)))
        most = max(1, min((vectors.registers - 2) // count, work.output[1]))
        for outputs in range(1, most + 1):
            for first in (True, False):
                yield IntegerTiling(outputs, width, work.output[1], first, unroll=1)
                if both and 2 * outputs * count < vectors.registers:
                    yield IntegerTiling(outputs, width, work.output[1], first, unroll=1, rows=2)


def _widths(channels: int, vectors: ByteVectors) -> list[int]:
    """Return widths of a tile: of whole registers, up to twice those that are stored together."""
    least = vectors.lanes
    some = {least, 2 * least, vectors.packed, 2 * vectors.packed}
    if vectors.arm:
        some |= {width * least for width in range(1, 9)}
    return sorted({min(width, channels) for width in some})


def _chunks(work: Convolution) -> list[int]:
    """Return pixels of a task: those that stay in the caches, and fewer; a row where there are."""
    if not work.window.pointwise():
        return [work.output[1]]
    found = [n for n in range(1, min(_CHUNK, _pixels(work)) + 1) if _pixels(work) % n == 0]
    fewer = [n for n in found if 4 * n <= found[-1] and n >= _PIXELS]
    return [found[-1], *fewer[-1:]]


def _steps(work: Convolution, most: int) -> int:
    """Return the fours of channels of a step, which divide them."""
    quads = work.channels // work.groups // QUAD
    return next(n for n in range(most, 0, -1) if quads % n == 0)


def _step(pixels: int, registers: int, vectors: ByteVectors) -> float:
    """Return instructions for four input channels of a tile."""
    sums = pixels * registers
    held = sums + registers + (pixels if vectors.arm and vectors.dot else 2)
    if vectors.arm and not vectors.dot:
        held = sums + 2 * (registers + pixels) + 4
    spilled = _SPILLED * sums if held > vectors.registers else 0.0
    if vectors.arm:
        if vectors.dot:
            return sums + registers / 2 + pixels / 4 + spilled
        return 2.5 * sums + registers + 2.25 * pixels + spilled
    if vectors.dot:
        return sums + registers + pixels + spilled
    return 4 * sums + 2 * registers + pixels + spilled


def _depthwise_cost(work: Depthwise, one: IntegerTiling, vectors: ByteVectors) -> float:
    if one.rows > 1:
        return _strips_cost(work, one, vectors)
    rows, taps = work.window.kernel
    fours, total = -(-taps // QUAD), 0.0
    full, rest = divmod(work.channels, one.width)
    for width, times in [(one.width, full), (rest, bool(rest))]:
        if not times:
            continue
        together = lanes_of(vectors).registers(width)
        registers = sum(map(len, together))
        for _, count, size in spans(work.output[1], one.pixels):
            shared = size if work.window.stride[1] > 1 else -(-size // 2)
            row = fours * (_step(size, registers, vectors) + _INTERLEAVE * shared * len(together))
            end = size * (_FINISH * registers + _STORE * len(together))
            total += times * count * (rows * row + _TILE + end)
    return total * work.output[0] * work.batch * (1 if one.weights_first else 1.001)


def _strips_cost(work: Depthwise, one: IntegerTiling, vectors: ByteVectors) -> float:
    """Return about how many instructions a kernel of several rows of outputs at a time executes.

    All weights are wanted for each tile: those that find no register are loaded again.
    """
    kernel, stride = work.window.kernel[1], work.window.stride[1]
    product = 1 if vectors.dot else 3 if vectors.arm else 4
    full, rest = divmod(work.channels, one.width)
    total = 0.0
    for width, times in [(one.width, full), (rest, bool(rest))]:
        together = lanes_of(vectors).registers(width)
        registers = sum(map(len, together))
        for _, count, size in spans(work.output[1], one.pixels):
            sums, weights = one.rows * size * registers, kernel * one.rows * registers
            columns = (size - 1) * stride + kernel
            split = columns * sum(QUAD + 2 * len(some) for some in together)
            free = max(0, vectors.registers - sums - 2 * registers)
            loaded = max(0, weights - free) * min(size, kernel)
            end = one.rows * size * (_FINISH * registers + _STORE * len(together))
            total += times * count * (split + product * kernel * sums + loaded + _TILE + end)
    strips = -(-work.output[0] // one.rows)
    return total * strips * work.batch * (1 if one.weights_first else 1.001)


def _registers(width: int, work: Convolution, vectors: ByteVectors) -> int:
    packed = "real" not in work.epilogue
    return sum(map(len, lanes_of(vectors).registers(width, packed)))


def _pixels(work: Convolution) -> int:
    return work.batch * work.output[0] * work.output[1]


def _weights_first(work: Convolution) -> bool:
    """Say whether weights are more than what is read, which then passes over them."""
    weights = work.filters * work.channels // work.groups * work.window.taps
    return weights > work.batch * work.input[0] * work.input[1] * work.channels


def _tile(vectors: ByteVectors) -> tuple[int, int]:
    """Return the registers of sums of a tile, and the channels of its rows.

    Words take twice the registers of bytes for weights.
    """
    if vectors.arm:
        # What is left holds weights, a vector of each pixel's channels, and products as words.
        width = vectors.packed if vectors.registers > 16 else 2 * vectors.lanes
        return vectors.registers * (5 if vectors.dot else 3) // 8, width
    if vectors.dot:
        return vectors.registers * 3 // 4, vectors.packed
    return vectors.registers // 2, vectors.packed if vectors.registers > 16 else 2 * vectors.lanes


def _unroll(vectors: ByteVectors) -> int:
    """Return the fours of channels of a step: as many as registers hold of each pixel."""
    if not vectors.dot and not vectors.arm:
        return 1  # of more LLVM keeps factors in registers, and sums in memory
    if vectors.arm and vectors.registers <= 16:
        return 2
    return 8 if vectors.arm and vectors.dot else 4
