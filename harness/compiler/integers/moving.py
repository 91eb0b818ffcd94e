"""Provides what only moves bytes: channel shuffles, concatenations and slices."""

from __future__ import annotations

from dataclasses import dataclass

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from facebench.harness.compiler.integers.padding import held
from facebench.harness.compiler.integers.sums import arguments
from facebench.harness.compiler.kernels import emit
from facebench.harness.compiler.kernels.emit import Buffer, Expr, register_lanes

# Bytes of a register.
_REGISTER = 64


@dataclass(frozen=True)
class ByteShuffle:
    """It is a channel shuffle.

    Attributes:
        batch: images.
        input: height and width.
        channels: in all.
        groups: rows of channels, of which columns are made.
    """

    batch: int
    input: tuple[int, int]
    channels: int
    groups: int


@dataclass(frozen=True)
class ByteJoin:
    """It puts channels of maps one after the other.

    Attributes:
        batch: images.
        input: height and width.
        channels: of each map.
    """

    batch: int
    input: tuple[int, int]
    channels: tuple[int, ...]


@dataclass(frozen=True)
class ByteSlice:
    """It is some channels of a map.

    Attributes:
        batch: images.
        input: height and width.
        channels: of the map.
        first: of those that are taken.
        count: of those that are taken.
    """

    batch: int
    input: tuple[int, int]
    channels: int
    first: int
    count: int


def emit_moving(work: ByteShuffle | ByteJoin | ByteSlice, kind: str) -> tirx.PrimFunc:
    """Return the kernel: arguments are what is read, and the output, of a type of bytes.

    A pixel has as many channels in memory as four divides, those at the end of no meaning.
    """
    if isinstance(work, ByteShuffle):
        return emit.function("shuffle", lambda: _shuffle(work, kind))
    if isinstance(work, ByteSlice):
        return emit.function("slice", lambda: _slice(work, kind))
    return emit.function("join", lambda: _join(work, kind))


def _shuffle(work: ByteShuffle, kind: str) -> None:
    height, width = work.input
    size = held(work.channels)
    shape = (work.batch, height, width, size)
    buffers = arguments({"input": (shape, kind), "output": (shape, kind)})
    column = work.channels // work.groups
    places = [i % work.groups * column + i // work.groups for i in range(work.channels)]
    places += range(work.channels, size)
    with T.parallel(0, work.batch * height) as row, T.serial(0, width) as x:
        start = T.Bind((row * width + x) * size)
        whole = T.Bind(emit.load(buffers["input"], start, size))
        offset = 0
        for lanes in register_lanes(size, _REGISTER):
            own = [tirx.IntImm("int32", place) for place in places[offset : offset + lanes]]
            emit.store(buffers["output"], start + offset, tirx.Shuffle([whole], own), lanes)
            offset += lanes


def _slice(work: ByteSlice, kind: str) -> None:
    height, width = work.input
    given, size = held(work.channels), held(work.count)
    shapes = {"input": given, "output": size}
    buffers = arguments(
        {name: ((work.batch, height, width, held), kind) for name, held in shapes.items()}
    )
    with T.parallel(0, work.batch * height) as row, T.serial(0, width) as x:
        pixel = T.Bind(row * width + x)
        source, target = pixel * given + work.first, pixel * size
        _copy(buffers["input"], source, buffers["output"], target, work.count)
        _clear(buffers["output"], target + work.count, size - work.count, kind)


def _join(work: ByteJoin, kind: str) -> None:
    height, width = work.input
    size = held(sum(work.channels))
    shapes = {
        f"input{i}": ((work.batch, height, width, held(channels)), kind)
        for i, channels in enumerate(work.channels)
    }
    buffers = arguments(shapes | {"output": ((work.batch, height, width, size), kind)})
    with T.parallel(0, work.batch * height) as row, T.serial(0, width) as x:
        pixel = T.Bind(row * width + x)
        place = pixel * size
        for i, channels in enumerate(work.channels):
            _copy(buffers[f"input{i}"], pixel * held(channels), buffers["output"], place, channels)
            place = place + channels
        _clear(buffers["output"], place, size - sum(work.channels), kind)


def _copy(given: Buffer, source: Expr, made: Buffer, target: Expr, count: int) -> None:
    done = 0
    for lanes in register_lanes(count, _REGISTER):
        emit.store(made, target + done, emit.load(given, source + done, lanes), lanes)
        done += lanes


def _clear(made: Buffer, target: Expr, count: int, kind: str) -> None:
    for lane in range(count):
        emit.store(made, target + lane, tirx.IntImm(kind, 0), 1)
