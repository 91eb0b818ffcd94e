"""What kernels cost on a core that is emulated: cycles that a model makes of exact counts.

All tilings of a call are functions of one library, and one emulated process runs each
of them once, between marks of its own. It finds the caches as in a network: the map
that it reads was written just before, by the kernel before it, and so lies in the
outer levels as far as it fits; weights were used one inference ago, and the weights
of a whole network, megabytes, have passed through the caches since. Were they left
warm, what a tiling reads once and what it reads from memory again and again would
cost the same.

The cost is that of `emulator.model`: the simulated pipeline, misses of the first level
and traffic to memory. Costs that differ by a few per cent are ranked by nothing that was
held against a board, and more instructions are more work for certain.
"""

from __future__ import annotations

import math
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from facebench.architectures.errors import (
    LostError,
    RefusedError,
    UnavailableError,
    WrongAnswerError,
)
from facebench.harness.compiler import link
from facebench.harness.compiler.program import Call, Program, Tensor
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.compiler.tiling import Tiling
from facebench.harness.compiler.tvm import import_tvm
from facebench.harness.compiler.workload import Workload
from facebench.harness.devices.emulator import counters, model
from facebench.harness.devices.emulator.launcher import EmulatedLauncher
from facebench.harness.machine.cores import CORES, Figures
from facebench.harness.machine.processes import dying_with_parent
from facebench.harness.runtimes import wire
from facebench.harness.stats.arrays import FloatArray
from facebench.harness.tuning.costs import Failure, all_or_each
from facebench.harness.tuning.kernels import Array, Operands, SearchedKernels

# Read before each kernel, in sizes of the last level: random placement of pages
# lets a few lines survive a single one.
_FLUSHED = 2

# Where weights happen to lie decides a few misses: no smaller gain in cycles is one.
_NOISE = 0.003

# The least gain in cycles that is taken for one although more instructions are executed.
_RANKED = 0.03

# A session that takes longer for its kernels, in seconds, hangs.
_PATIENCE_S = 900.0

# TVM's kernels demand that data start at a multiple of it.
_ALIGNMENT = 64


class EmulatedCost:
    """Cycles of one thread on a named core, as `costs.TilingCost` has it.

    Args:
        core: its name.
        kernels: that are tried.

    Raises:
        UnknownNameError: there is no such core.
        UnavailableError: no emulated device is set up.
        RefusedError: there are no figures of the core to model its cycles with.
    """

    unit = "cycles"
    exact = True

    def __init__(self, core: str, kernels: SearchedKernels) -> None:
        self.kernels = kernels
        self._core = CORES[core]
        if self._core.figures is None:
            raise RefusedError(
                f"there are no figures of {core} to model cycles with: choose one of "
                f"{', '.join(one.name for one in CORES if one.figures)}"
            )
        self._figures: Figures = self._core.figures
        self._launcher = EmulatedLauncher(core)
        self._target = TARGETS[self._core.target]
        self._instructions: dict[tuple[Workload, Tiling], int] = {}
        self.how = f"modelled for {core} by its simulated pipeline, counted under QEMU"

    def measure_all(self, work: Workload, tilings: Sequence[Tiling]) -> list[float | Failure]:
        """See `TilingCost`; a cost holds for caches as a network leaves them, see the module."""
        # What a kernel executes does not hang on values.
        given = self.kernels.random(work)

        def measured(some: Sequence[Tiling]) -> list[float]:
            with tempfile.TemporaryDirectory() as folder:
                trial = _Trial(work, Path(folder), self.kernels)
                trial.write(some, [given], self._target.options())
                self._run(trial, Path(folder, "counters"))
                regions = [Path(folder, f"counters.{n}") for n in range(len(some))]
                tallies = [self._tally(region) for region in regions]
            for tiling, tally in zip(some, tallies, strict=True):
                self._instructions[work, tiling] = tally.instructions
            return [self._cycles(tally) for tally in tallies]

        return all_or_each(measured, tilings)

    def cheaper(self, work: Workload, one: Tiling, other: Tiling, ratio: float) -> bool:
        """See `TilingCost` and `gains`."""
        return gains(ratio, self._instructions[work, one] / self._instructions[work, other])

    def outputs(self, work: Workload, tiling: Tiling, given: Sequence[Any]) -> list[Array]:
        """Return what the kernel computes from each of the operands, `(N, H, W, F)`."""
        with tempfile.TemporaryDirectory() as folder:
            trial = _Trial(work, Path(folder), self.kernels)
            trial.write([tiling], given, self._target.options())
            return trial.outputs(self._run(trial, None))

    def _run(self, trial: _Trial, counting: Path | None) -> bytes:
        """Return what the kernels wrote; they are counted where there is a path for the
        counters.
        """
        largest = max(level.size_bytes for level in self._figures.levels)
        requests = wire.request(["open", "tvm", "1"], bytes(trial.folder))
        requests += wire.images_request("kernels", trial.images, _FLUSHED * largest)
        try:
            done = subprocess.run(
                dying_with_parent(self._launcher.command("tvm", counting)),
                input=requests,
                capture_output=True,
                timeout=_PATIENCE_S,
            )
        except subprocess.TimeoutExpired as error:
            raise LostError(
                f"the emulated {self._core.name} ran a kernel for {_PATIENCE_S:.0f} s without an "
                "end; run the same command again"
            ) from error
        replies = BytesIO(done.stdout)
        opened, ran = wire.read(replies), wire.read(replies)
        if opened is None or ran is None:
            raise WrongAnswerError(f"the kernel crashed (exit code {done.returncode})")
        for words, payload in (opened, ran):
            if words != ["ok"]:
                raise WrongAnswerError(payload.decode(errors="replace"))
        return ran[1]

    def _tally(self, region: Path) -> counters.Tally:
        if not region.exists():
            raise UnavailableError(
                "the emulator left no counters: 'facebench device setup-emulated' mends its plugin"
            )
        return counters.region(region.read_text(), self._target.elf_machine, self._figures)

    def _cycles(self, tally: counters.Tally) -> float:
        work = counters.work(tally, len(self._figures.levels))
        return sum(model.term_cycles(work, self._figures).values())


def gains(cycles: float, instructions: float) -> bool:
    """Say whether a kernel is believed to be faster than another.

    It takes fewer modelled cycles and no more instructions; or fewer cycles by what the model
    can rank, and by no larger a factor more instructions.

    Args:
        cycles: of the one to the other's.
        instructions: likewise.
    """
    least = _RANKED if instructions > 1 else _NOISE
    return cycles < 1 - least and cycles * instructions <= 1


@dataclass(frozen=True)
class _Maps:
    """Places of what a network's other kernels write or read.

    Attributes:
        read: the input, and the map that is added, if any.
        written: the output.
    """

    read: tuple[Tensor, ...]
    written: Tensor


class _Trial:
    """Kernels of one workload as a network that a session can open.

    Attributes:
        folder: where it is written.
        images: the network's input: all maps that are read, in one row.
    """

    def __init__(self, work: Workload, folder: Path, kernels: SearchedKernels) -> None:
        self.folder = folder
        self.images: FloatArray = np.empty((1, 0, 1, 1), np.float32)
        self._work = work
        self._kernels = kernels
        self._outputs: list[Tensor] = []

    def write(
        self, tilings: Sequence[Tiling], given: Sequence[Operands], target: dict[str, Any]
    ) -> None:
        """Write the library, and the program that calls each kernel with each of the operands.

        SearchedKernels that are given the same read and write the same places, since where a
        map lies decides which of its lines find room in a cache.

        Raises:
            WrongAnswerError: TVM makes no code of a kernel.
        """
        names = {tiling: f"kernel{number}" for number, tiling in enumerate(tilings)}
        self._library(names, target)
        constants, read, written = (_Storage(number) for number in range(3))
        maps = [self._maps(one, read, written) for one in given]
        calls = []
        for tiling in tilings:
            for one, places in zip(given, maps, strict=True):
                arguments = self._kernels.arguments(self._work, tiling, one)
                calls.append(_call(names[tiling], arguments, one, places, constants))
        self.images = read.row()
        self._outputs = [one.written for one in maps]
        program = Program(
            storages=(len(constants.data), len(read.data), len(written.data)),
            constants=bytes(constants.data),
            calls=tuple(calls),
            input=Tensor(1, 0, self.images.shape, "float32"),
            output=Tensor(2, 0, (1, len(written.data) // 4), "float32"),
        )
        (self.folder / "network.program").write_bytes(program.serialised())

    def outputs(self, reply: bytes) -> list[Array]:
        """Return what the last kernel made of each of the operands."""
        return [
            np.frombuffer(reply, made.dtype, math.prod(made.shape), made.offset).reshape(made.shape)
            for made in self._outputs
        ]

    def _library(self, names: dict[Tiling, str], target: dict[str, Any]) -> None:
        tvm = import_tvm()
        try:
            functions = {
                name: self._kernels.function(self._work, tiling).with_attr("global_symbol", name)
                for tiling, name in names.items()
            }
            built = tvm.tirx.build(
                tvm.IRModule(functions), target=tvm.target.Target(target), pipeline="s_tir"
            )
        except Exception as error:  # TVM raises what its C++ side throws
            last = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            raise WrongAnswerError(f"TVM makes no code of the kernel: {last}") from error
        path = str(self.folder / "network.so")
        built.export_library(path, fcompile=link.shared_library)

    def _maps(self, given: Operands, read: _Storage, written: _Storage) -> _Maps:
        made = written.put(self._kernels.output(self._work))
        return _Maps(tuple(map(read.put, given.maps)), made)


def _call(
    kernel: str, arguments: list[Array], given: Operands, maps: _Maps, constants: _Storage
) -> Call:
    """Return a kernel's call, in which maps lie where other kernels' do."""
    places = {id(array): tensor for array, tensor in zip(given.maps, maps.read, strict=True)}
    tensors = [places.get(id(one)) or constants.put(one) for one in arguments]
    return Call(kernel, (*tensors, maps.written))


class _Storage:
    """It holds arrays one after the other."""

    def __init__(self, number: int) -> None:
        self.data = bytearray()
        self._number = number

    def put(self, array: Array) -> Tensor:
        """Append an array."""
        tensor = Tensor(self._number, len(self.data), array.shape, str(array.dtype))
        self.data += array.astype(array.dtype.newbyteorder("<")).tobytes()
        self.data += bytes(-len(self.data) % _ALIGNMENT)
        return tensor

    def row(self) -> FloatArray:
        """Return all of it in the type and shape of images, float32: (1, elements, 1, 1)."""
        return np.frombuffer(bytes(self.data), "<f4").reshape(1, -1, 1, 1)
