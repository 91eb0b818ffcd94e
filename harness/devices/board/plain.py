"""Provides a board with TVM's own RPC server, such as `python -m tvm.exec.rpc_server`."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from facebench.architectures.errors import RefusedError
from facebench.harness.compiler.tvm import import_tvm
from facebench.harness.devices.board.description import Description, require
from facebench.harness.devices.board.watchdog import watched
from facebench.harness.machine.footprint import Footprint
from facebench.harness.runtimes.session import Session
from facebench.harness.stats.arrays import FloatArray
from facebench.harness.storage import cache
from facebench.harness.timing import sampler
from facebench.harness.timing.sampler import Budget, Samples

_ENVIRONMENT = {"environment": "not reported: a plain TVM server"}

# TVM's mode in which threads may run on any core.
_ANY_CORE = 0

# Seconds of sampling within one call.
_CALL_S = 2.0


class PlainBoard:
    """A board of which only TVM is known; only the runtime `tvm` opens there."""

    def __init__(self, rpc_session: Any, name: str, at_end: Callable[[], object]) -> None:
        self.name = name
        self.rpc_session = rpc_session
        self._at_end = at_end

    def describe(self) -> Description:
        """Say nearly nothing; its figures are comparable with those of the same name only."""
        return Description(
            kind="measured",
            name="",
            target="",
            machine="",
            runtimes=("tvm",),
            cores=0,
            identity=cache.digest("plain TVM server", self.name),
            environment=dict(_ENVIRONMENT),
        )

    def open(self, runtime: str, artifact: Path, threads: int, counting: bool = False) -> Session:
        """Open a session on the board."""
        try:
            require(self.name, self.describe(), runtime, artifact)
            return PlainSession(self, artifact / "network.so", threads)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Hang up."""
        # TVM hangs up with its last reference, and its machine has some in cycles.
        self.rpc_session = None
        gc.collect()
        self._at_end()


class PlainSession:
    """It is a compiled network in TVM's virtual machine, over RPC; see `Session`."""

    def __init__(self, board: PlainBoard, path: Path, threads: int) -> None:
        self._board = board
        with watched(board.name, "sending the network"):
            board.rpc_session.upload(str(path), path.name)
        with watched(board.name, "opening the network"):
            board.rpc_session.get_function("runtime.config_threadpool")(_ANY_CORE, threads)
            start = time.perf_counter()
            library = board.rpc_session.load_module(path.name)
            self._device = board.rpc_session.cpu()
            self._machine = import_tvm().runtime.vm.VirtualMachine(library, self._device)
        # By this machine's clock, for no other can be asked; the network adds to it.
        self.load_ms = (time.perf_counter() - start) * 1e3

    def infer(self, images: FloatArray) -> FloatArray:
        """Map images `(N, 3, H, W)` to embeddings `(N, E)`, on the board."""
        with watched(self._board.name, "inferring"):
            self._set(images)
            self._machine.invoke_stateful("main")
            embeddings: FloatArray = self._machine.get_outputs("main").numpy()
        return embeddings

    def sample(self, images: FloatArray, budget: Budget) -> Samples:
        """Time inferences of a batch `(N, 3, H, W)` in ms, in calls to TVM of about two seconds."""
        with watched(self._board.name, "sampling"):
            self._set(images)
        warmup, stable = self._for(budget.warmup_s, 2 * sampler.WINDOW, sampler.settled)
        samples, _ = self._for(budget.share_s, budget.share_of_samples, lambda times: False)
        return Samples(tuple(warmup), tuple(samples), stable)

    def footprint(self) -> tuple[Footprint, str]:
        """Return an empty footprint and why: a plain server tells nothing of energy."""
        return Footprint(), "a plain TVM server tells nothing of energy"

    def count(self, images: FloatArray) -> bytes:
        """Refuse a batch `(N, 3, H, W)`: a board counts no instructions.

        Raises:
            RefusedError: always.
        """
        raise RefusedError("instructions are counted on an emulated device: --device emulated:CORE")

    def environment(self) -> dict[str, Any]:
        """Return the board's environment: that nothing is known of it."""
        return self._board.describe().environment

    def close(self) -> None:
        """Hang up."""
        del self._machine, self._device
        self._board.close()

    def _set(self, images: FloatArray) -> None:
        tvm = import_tvm()
        self._machine.set_input("main", tvm.runtime.tensor(images, self._device))

    def _for(
        self, seconds: float, least: int, enough: Callable[[list[float]], bool]
    ) -> tuple[list[float], bool]:
        """Times in milliseconds, for so long and at least so many, or until they are enough."""
        times: list[float] = []
        count = 1
        while sum(times) < seconds * 1e3 or len(times) < least:
            with watched(self._board.name, "sampling"):
                timed = self._machine.time_evaluator(
                    "invoke_stateful", self._device, number=1, repeat=count
                )("main")
            times += [result * 1e3 for result in timed.results]
            if enough(times):
                return times, True
            count = max(1, min(sampler.MINIMUM_SAMPLES, int(_CALL_S * 1e3 / max(times[-1], 1e-3))))
        return times, False
