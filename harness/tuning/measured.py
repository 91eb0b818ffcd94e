"""Provides what kernels cost on this machine or on a board: the time of one thread."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tvm

from facebench.architectures.errors import (
    LostError,
    RefusedError,
    UnavailableError,
    WrongAnswerError,
)
from facebench.harness.compiler import link
from facebench.harness.compiler.targets import Target
from facebench.harness.compiler.tiling import Tiling
from facebench.harness.compiler.workload import Workload
from facebench.harness.machine.processes import (
    LOST,
    ChildProcess,
    python_module,
    thread_variables,
)
from facebench.harness.tuning.costs import Failure, all_or_each
from facebench.harness.tuning.kernels import Array, SearchedKernels

# All kernels of a call share them, so that few are timed more thoroughly than many.
_SECONDS = 0.8

# What is left of a shared machine's noise in the lowest of medians.
_NOISE = 0.01


class MeasuredCost:
    """Seconds of a kernel, timed by turns with the others; see `costs.TilingCost`.

    What it reads lies in the caches as the call before left it. In a network weights come
    from farther away, which costs all tilings about the same.

    Args:
        device: `local`, or a board.
        target: what to compile for, resolved.
        kernels: that are tried.

    Raises:
        UnavailableError: the board cannot be reached.
        RefusedError: it is of another architecture than the target.
    """

    unit = "seconds"
    exact = False

    def __init__(self, device: str, target: Target, kernels: SearchedKernels) -> None:
        self._device = device
        self._target = target
        self.kernels = kernels
        self._bench: _Bench | None = None
        machine = self._facts["machine"]
        if machine and machine != target.elf_machine:
            self.close()
            raise RefusedError(
                f"target {target.name} is code for {target.elf_machine.removeprefix('EM_')} and "
                f"{device} is {machine.removeprefix('EM_')}: name a device that runs it with "
                "--device"
            )

    @property
    def how(self) -> str:
        """See `TilingCost`."""
        return f"measured on {self._facts['processor']}"

    def measure_all(self, work: Workload, tilings: Sequence[Tiling]) -> list[float | Failure]:
        """See `TilingCost`; one thread."""
        return all_or_each(lambda some: self._measured(work, some), tilings)

    def cheaper(self, work: Workload, one: Tiling, other: Tiling, ratio: float) -> bool:
        """See `TilingCost`: it is faster by more than noise."""
        return ratio < 1 - _NOISE

    def outputs(self, work: Workload, tiling: Tiling, given: Sequence[Any]) -> list[Array]:
        """Return what the kernel computes from each of the operands, `(N, H, W, F)`."""
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            request = self._compiled(work, [tiling], folder)
            paths = [
                self._written(folder / f"{n}.npz", work, tiling, one) for n, one in enumerate(given)
            ]
            self._ask({**request, "operands": paths})
            return [np.load(f"{path}.out.npy", allow_pickle=False) for path in paths]

    def close(self) -> None:
        """End the process that runs kernels."""
        if self._bench is not None:
            self._bench.close()
            self._bench = None

    def _measured(self, work: Workload, tilings: Sequence[Tiling]) -> list[float]:
        chosen: list[str] = []
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            request = self._compiled(work, tilings, folder)
            given = self.kernels.random(work)
            paths: dict[int, str] = {}
            for tiling in tilings:
                # Of tilings with as many weights all read the same: what they are changes no time.
                size = sum(array.size for array in self.kernels.arguments(work, tiling, given))
                if size not in paths:
                    paths[size] = self._written(folder / f"{size}.npz", work, tiling, given)
                chosen.append(paths[size])
            answer = self._ask({**request, "operands": chosen, "seconds": _SECONDS})
        seconds: list[float] = answer["seconds"]
        return seconds

    def _written(self, path: Path, work: Workload, tiling: Tiling, given: Any) -> str:
        """Return a kernel's arguments, its output last, in a file."""
        arguments = self.kernels.arguments(work, tiling, given)
        np.savez(path, *arguments, self.kernels.output(work))
        return str(path)

    def _compiled(self, work: Workload, tilings: Sequence[Tiling], folder: Path) -> dict[str, Any]:
        """Return a library with a function for each tiling, as the start of a request."""
        names = [f"kernel{n}" for n in range(len(tilings))]
        try:
            functions = {
                name: self.kernels.function(work, tiling).with_attr("global_symbol", name)
                for name, tiling in zip(names, tilings, strict=True)
            }
            target = tvm.target.Target(self._target.options())
            built = tvm.tirx.build(tvm.IRModule(functions), target=target, pipeline="s_tir")
        except Exception as error:  # TVM raises what its C++ side throws
            last = str(error).strip().splitlines() or [type(error).__name__]
            raise WrongAnswerError(f"TVM makes no code of the kernel: {last[-1]}") from error
        # A name of its own each time: loaded libraries are told by their names.
        path = folder / f"{folder.name}.so"
        built.export_library(str(path), fcompile=link.shared_library)
        return {"library": str(path), "kernels": names}

    @cached_property
    def _facts(self) -> dict[str, str]:
        """Return what the device says of itself."""
        return self._started().facts

    def _started(self) -> _Bench:
        if self._bench is None:
            self._bench = _Bench(self._device)
        return self._bench

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            answer = self._started().ask(request)
        except WrongAnswerError:
            self.close()
            raise
        if "error" in answer:
            raise WrongAnswerError(f"the kernel failed: {answer['error']}")
        return answer


class _Bench:
    """It is the process of `tuning.bench`, started."""

    def __init__(self, device: str) -> None:
        self._process = ChildProcess(
            python_module("facebench.harness.tuning.bench", device),
            environment=os.environ | thread_variables(1),
        )
        self.facts: dict[str, str] = self._read()

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a request.

        Raises:
            WrongAnswerError: the kernel ended the process.
            LostError: the device answers no more.
        """
        self._process.send(json.dumps(request).encode() + b"\n")
        return self._read()

    def close(self) -> None:
        """End the process."""
        self._process.close()

    def _read(self) -> dict[str, Any]:
        if line := self._process.line():
            answer: dict[str, Any] = json.loads(line)
            return answer
        end = self._process.ended()
        said = end.said or "it gave no reason"
        if end.code == LOST:
            raise LostError(said)
        if end.signal:
            raise WrongAnswerError(f"the kernel ended its process by {end.signal}")
        raise UnavailableError(said)
