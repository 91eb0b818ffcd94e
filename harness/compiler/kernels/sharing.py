"""How a kernel's work is cut into tasks, which threads share in order, as many for each.

One thread does the same in the same order, whatever tasks there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from tvm import DataType, tirx
from tvm.ir import PointerType, PrimType
from tvm.tirx.script.builder import ir as T

from facebench.harness.compiler.kernels.emit import Buffer, Expr, repeat, spans

# Threads that are to have their share of a kernel, and how much more one may have. To cut a kernel
# that has tasks enough would cost some cores instructions: LLVM moves what tiles have in common
# before all of a task's.
_THREADS, _UNEVEN = (4, 8), 0.05

# TVM's number of the kind of device.
_CPU = 1


@contextmanager
def each_thread(tasks: int, *sizes: tuple[int, str]) -> Iterator[list[Buffer]]:
    """Give a thread buffers of its own, which it keeps from its first task to its last.

    What is emitted within is done by each thread, but what `tasks` emits, which they share.

    Args:
        tasks: how many it emits.
        sizes: elements of each buffer, and their type.
    """
    # A loop over one task is none to TVM, and has no threads.
    with T.attr(0, "pragma_parallel_launch_point", True) if tasks > 1 else nullcontext():
        # TVM allocates what it is asked for as a buffer once for all threads.
        buffers = [_workspace(elements, element) for elements, element in sizes]
        yield buffers
        for buffer in reversed(buffers):
            T.evaluate(T.TVMBackendFreeWorkspace(_CPU, 0, buffer.data))


def _workspace(elements: int, element: str) -> Buffer:
    kind = DataType(element)
    size = tirx.IntImm("uint64", elements * kind.bits // 8)
    made = T.TVMBackendAllocWorkspace(_CPU, 0, size, int(kind.type_code), kind.bits)
    data = T.Bind(tirx.reinterpret(PointerType(PrimType(element), "global"), made))
    return T.decl_buffer((elements,), element, data=data)


def tasks(
    chunks: int,
    blocks: int,
    weights_first: bool,
    body: Callable[[Expr, Expr, Expr], None],
    parts: int = 1,
) -> None:
    """Emit one loop over chunks of pixels and blocks of channels, shared among threads.

    Args:
        chunks: how many.
        blocks: how many.
        weights_first: all chunks come before the next block, whose weights stay in the cache till
            then; else all blocks before the next chunk.
        body: emits the task of a chunk, a block and a part.
        parts: of what is done for a chunk and a block.
    """
    with T.parallel(0, chunks * blocks * parts) as task:
        whole, part = T.Bind(task // parts), T.Bind(task % parts)
        if weights_first:
            body(whole % chunks, whole // chunks, part)
        else:
            body(whole // blocks, whole % blocks, part)


@dataclass(frozen=True)
class Tiles:
    """It is pixels in tiles of nearly one size.

    Attributes:
        pixels: in all.
        most: pixels of a tile.
    """

    pixels: int
    most: int

    @property
    def count(self) -> int:
        """Return how many tiles there are."""
        return -(-self.pixels // self.most)

    def parts(self, tasks: int) -> int:
        """Return into how many parts they are cut where so many tasks have all of them."""

        def most(parts: int) -> float:
            return max(uneven(tasks * parts, threads) for threads in _THREADS)

        possible = range(1, min(self.count, max(_THREADS)) + 1)
        return next((one for one in possible if most(one) <= _UNEVEN), min(possible, key=most))

    def emit(self, part: Expr, parts: int, body: Callable[[Expr, int], None]) -> None:
        """Emit `body(start, pixels)` for each tile of a part whose number is known when it runs."""
        low, high = (T.Bind((part + end) * self.count // parts) for end in (0, 1))
        before = 0
        for start, count, pixels in spans(self.pixels, self.most):

            def tile(number: Expr, start: int = start, pixels: int = pixels) -> None:
                body(start + number * pixels, pixels)

            if parts == 1:
                repeat(count, tile)
            else:
                first, last = tirx.max(low - before, 0), tirx.min(high - before, count)
                with T.serial(first, last) as number:
                    tile(number)
            before += count

    def bounds(self, part: Expr, parts: int) -> tuple[Expr, Expr]:
        """Return the first pixel of a part, and the first behind it."""
        size, larger = divmod(self.pixels, self.count)
        ends = [(part + end) * self.count // parts for end in (0, 1)]
        low, high = (number * size + tirx.min(number, larger) for number in ends)
        return (low, high) if parts > 1 else (0, self.pixels)


def uneven(tasks: int, threads: int) -> float:
    """Return how much longer the busiest thread works than its share."""
    return -(-tasks // threads) * threads / tasks - 1
