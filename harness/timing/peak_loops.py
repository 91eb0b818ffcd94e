"""Two loops that no code outruns: multiply-adds in registers, and reading of memory.

TVM generates them for this machine, so that no compiler has to be installed. Only a
process that has TVM, and no runtime that is timed, may import this module.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tvm
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as tir

from facebench.harness.compiler import link
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.compiler.tvm import resolve
from facebench.harness.timing.peak_shapes import Shape

# From here on an accumulator stays a normal number: it goes to 1 / (1 - 0.999).
_FACTOR, _SUMMAND = 0.999, 1.0


def build(shapes: Iterable[Shape], unrolled: int, path: Path) -> None:
    """Compile both loops in every shape into a shared library.

    Args:
        shapes: of the loops.
        unrolled: multiply-adds of each accumulator in a round.
        path: of the library.

    Its functions are `fma_<shape>(accumulators, rounds)` and
    `read_<shape>(data, accumulators, passes)`; arrays start at multiples of 64 bytes.
    """
    functions = {}
    for shape in shapes:
        functions[f"fma_{shape}"] = _multiply_adds(_Registers(shape), unrolled)
        functions[f"read_{shape}"] = _reading(_Registers(shape))
    module = tvm.IRModule(
        {name: made.with_attr("global_symbol", name) for name, made in functions.items()}
    )
    target = tvm.target.Target(resolve(TARGETS["host"]).options())
    library = tvm.tirx.build(module, target=target, pipeline="s_tir")
    library.export_library(str(path), fcompile=link.shared_library)


@dataclass(frozen=True)
class _Registers:
    """Accumulators of one shape: arrays of one vector each, which LLVM keeps in registers."""

    shape: Shape

    def vector(self, buffer: Any, start: Any) -> Any:
        """Return the elements of a buffer from `start` on that fill a register."""
        return tirx.BufferLoad(buffer, [tirx.Ramp(start, 1, self.shape.lanes)])

    def store(self, value: Any, buffer: Any, start: Any) -> None:
        """Write a register to a buffer."""
        tir.buffer_store(buffer, value, [tirx.Ramp(start, 1, self.shape.lanes)])

    def filled(self, values: Any) -> list[Any]:
        """Return new accumulators that hold what an argument of the function does."""
        lanes = self.shape.lanes
        made = [
            tir.alloc_buffer((lanes,), "float32", scope="global")
            for _ in range(self.shape.accumulators)
        ]
        for index, one in enumerate(made):
            self.store(self.vector(values, index * lanes), one, 0)
        return made

    def give_back(self, accumulators: list[Any], values: Any) -> None:
        """Write them out, so that no compiler finds the work useless."""
        for index, one in enumerate(accumulators):
            self.store(self.vector(one, 0), values, index * self.shape.lanes)


def _multiply_adds(registers: _Registers, unrolled: int) -> Any:
    """Emit `accumulator = accumulator * factor + summand`, in all accumulators in turn."""
    shape = registers.shape
    with IRBuilder() as builder, tir.prim_func(s_tir=True):
        values = tir.arg("values", tir.buffer((shape.elements,), "float32"))
        rounds = tir.arg("rounds", tir.int64())
        accumulators = registers.filled(values)
        factor, summand = (
            tirx.Broadcast(tirx.FloatImm("float32", value), shape.lanes)
            for value in (_FACTOR, _SUMMAND)
        )
        with tir.serial(0, rounds):
            for one in accumulators * unrolled:
                registers.store(registers.vector(one, 0) * factor + summand, one, 0)
        registers.give_back(accumulators, values)
    return builder.get()


def _reading(registers: _Registers) -> Any:
    """Emit `accumulator = accumulator + data`, over all of the data, several times."""
    shape = registers.shape
    with IRBuilder() as builder, tir.prim_func(s_tir=True):
        size = tirx.Var("size", "int64")
        data = tir.arg("data", tir.buffer((size,), "float32"))
        values = tir.arg("values", tir.buffer((shape.elements,), "float32"))
        passes = tir.arg("passes", tir.int64())
        accumulators = registers.filled(values)
        with tir.serial(0, passes), tir.serial(0, size // shape.elements) as step:
            for index, one in enumerate(accumulators):
                start = step * shape.elements + index * shape.lanes
                registers.store(registers.vector(one, 0) + registers.vector(data, start), one, 0)
        registers.give_back(accumulators, values)
    return builder.get()
