"""Provides what only moves bytes: channel shuffles and concatenations."""

from __future__ import annotations

from dataclasses import dataclass

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from facebench.harness.compiler.integers.sums import arguments
from facebench.harness.compiler.kernels import emit
from facebench.harness.compiler.kernels.emit import register_lanes

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


def emit_moving(work: ByteShuffle | ByteJoin, kind: str) -> tirx.PrimFunc:
    """Return the kernel: arguments are what is read, and the output, of a type of bytes."""
    if isinstance(work, ByteShuffle):
        return emit.function("shuffle", lambda: _shuffle(work, kind))
    return emit.function("join", lambda: _join(work, kind))


def _shuffle(work: ByteShuffle, kind: str) -> None:
    height, width = work.input
    shape = (work.batch, height, width, work.channels)
    buffers = arguments({"input": (shape, kind), "output": (shape, kind)})
    column = work.channels // work.groups
    places = [i % work.groups * column + i // work.groups for i in range(work.channels)]
    with T.parallel(0, work.batch * height) as row, T.serial(0, width) as x:
        start = T.Bind((row * width + x) * work.channels)
        whole = T.Bind(emit.load(buffers["input"], start, work.channels))
        offset = 0
        for lanes in register_lanes(work.channels, _REGISTER):
            own = [tirx.IntImm("int32", place) for place in places[offset : offset + lanes]]
            emit.store(buffers["output"], start + offset, tirx.Shuffle([whole], own), lanes)
            offset += lanes


def _join(work: ByteJoin, kind: str) -> None:
    height, width = work.input
    total = sum(work.channels)
    shapes = {
        f"input{i}": ((work.batch, height, width, channels), kind)
        for i, channels in enumerate(work.channels)
    }
    buffers = arguments(shapes | {"output": ((work.batch, height, width, total), kind)})
    with T.parallel(0, work.batch * height) as row, T.serial(0, width) as x:
        pixel = T.Bind(row * width + x)
        offset = 0
        for i, channels in enumerate(work.channels):
            done = 0
            for lanes in register_lanes(channels, _REGISTER):
                value = emit.load(buffers[f"input{i}"], pixel * channels + done, lanes)
                emit.store(buffers["output"], pixel * total + offset + done, value, lanes)
                done += lanes
            offset += channels
