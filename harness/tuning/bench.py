"""The process that runs kernels, here or on a board: JSON lines in and out.

A kernel that crashes, or a board that is lost, takes this process along and not the search.
"""

from __future__ import annotations

import json
import math
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facebench.architectures.errors import FacebenchError, LostError, UnavailableError
from facebench.harness.compiler.tvm import import_tvm
from facebench.harness.devices.board.client import ServedBoard
from facebench.harness.devices.board.device import BoardDevice
from facebench.harness.devices.board.plain import PlainBoard
from facebench.harness.devices.board.watchdog import watched
from facebench.harness.devices.registry import DEVICES
from facebench.harness.machine import environment
from facebench.harness.machine.die_with_parent import die_with_parent
from facebench.harness.machine.processes import LOST

# A kernel is called for so long, so often, before the next has its turn: long against
# the clock's resolution, short against what others take of a shared machine.
_VISIT_S = 0.0005
_REPEATS = 3
_MINIMUM_ROUNDS = 5

# TVM's mode in which threads may run on any core.
_ANY_CORE = 0


@dataclass(frozen=True)
class BenchDevice:
    """Where kernels run.

    Attributes:
        name: for people.
        machine: ELF name of its architecture; empty where it is not known.
        processor: of it, for people.
        device: TVM's.
        load: a library's file to its functions.
        calling: what surrounds calls, given what is being done.
    """

    name: str
    machine: str
    processor: str
    device: Any
    load: Callable[[Path], Any]
    calling: Callable[[str], AbstractContextManager[None]]


def main() -> None:
    """Answer requests until the input ends."""
    die_with_parent()
    # Libraries print to standard output as they like; answers must be alone there.
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        try:
            place = _here() if sys.argv[1] == "local" else _board(sys.argv[1])
            _tell(answers, {"machine": place.machine, "processor": place.processor})
            for line in sys.stdin:
                _tell(answers, _answer(place, json.loads(line)))
        except FacebenchError as error:
            print(error, file=sys.stderr)
            sys.exit(LOST if isinstance(error, LostError) else error.exit_code)


def _tell(answers: Any, data: dict[str, Any]) -> None:
    answers.write(json.dumps(data) + "\n")
    answers.flush()


def _here() -> BenchDevice:
    from facebench.harness.compiler import host, library

    tvm = import_tvm()

    def load(path: Path) -> Any:
        host.require_executable(path)
        return tvm.runtime.load_module(str(path))

    return BenchDevice(
        name="local",
        machine=library.host_machine(),
        processor=environment.identity()["cpu_model"],
        device=tvm.cpu(),
        load=load,
        calling=lambda doing: nullcontext(),
    )


def _board(name: str) -> BenchDevice:
    device = DEVICES[name]
    if not isinstance(device, BoardDevice):
        raise UnavailableError(f"kernels cannot be timed on device {name}: name a board")
    board = device.connect()
    assert isinstance(board, PlainBoard | ServedBoard)
    described, session = board.describe(), board.rpc_session
    with watched(name, "setting its threads"):
        session.get_function("runtime.config_threadpool")(_ANY_CORE, 1)

    def load(path: Path) -> Any:
        session.upload(str(path), path.name)
        return session.load_module(path.name)

    return BenchDevice(
        name=name,
        machine=described.machine,
        processor=described.environment.get("cpu_model", name),
        device=session.cpu(),
        load=load,
        calling=lambda doing: watched(name, doing),
    )


def _answer(place: BenchDevice, request: dict[str, Any]) -> dict[str, Any]:
    try:
        with place.calling("loading kernels of the target"):
            kernels = place.load(Path(request["library"]))
        if "seconds" in request:
            return {"seconds": _timed(place, kernels, request)}
        for path in request["operands"]:
            arguments = _tensors(place, path)
            with place.calling("running a kernel"):
                kernels[request["kernels"][0]](*arguments)
            np.save(f"{path}.out.npy", arguments[-1].numpy())
        return {}
    except LostError:
        raise
    except Exception as error:  # TVM raises what its C++ side throws
        last = str(error).strip().splitlines() or [type(error).__name__]
        return {"error": last[-1]}


def _tensors(place: BenchDevice, path: str) -> list[Any]:
    tvm = import_tvm()
    with np.load(path, allow_pickle=False) as arrays, place.calling("sending operands"):
        return [tvm.runtime.tensor(array, place.device) for array in arrays.values()]


def _timed(place: BenchDevice, kernels: Any, request: dict[str, Any]) -> list[float]:
    """Seconds of a call of each kernel, which have their turns in rounds.

    The first is what the others are held against. Its time is the lowest of all rounds. Of
    another it is the lowest too, or, where that is more, the first one's times the median
    of their ratio in each round: the lowest alone can be a lucky moment.
    """

    names: list[str] = list(request["kernels"])
    paths = dict(zip(names, request["operands"], strict=True))
    tensors = {path: _tensors(place, path) for path in dict.fromkeys(paths.values())}

    def visit(name: str, number: int) -> float:
        timer = kernels.time_evaluator(name, place.device, number=number, repeat=_REPEATS)
        with place.calling("timing a kernel"):
            return float(statistics.median(timer(*tensors[paths[name]]).results))

    numbers = {name: math.ceil(_VISIT_S / max(visit(name, 1), 1e-7)) for name in names}
    rounds: list[dict[str, float]] = []
    order, generator = list(names), random.Random(0)
    end = time.monotonic() + request["seconds"]
    while len(rounds) < _MINIMUM_ROUNDS or time.monotonic() < end:
        generator.shuffle(order)  # whoever follows a slow kernel finds other caches
        rounds.append({name: visit(name, numbers[name]) for name in order})
    return [seconds(name, names[0], rounds) for name in names]


def seconds(name: str, first: str, rounds: Sequence[Mapping[str, float]]) -> float:
    """Return a kernel's time from those of all rounds, in each of which all had their turn."""
    ratio = statistics.median(times[name] / times[first] for times in rounds)
    lowest = min(times[name] for times in rounds)
    return max(lowest, ratio * min(times[first] for times in rounds))


if __name__ == "__main__":
    main()
