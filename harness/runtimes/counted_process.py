"""Provides a session that is counted, in an emulated process of its own.

Where a process's data lie decides some hundred instructions of an inference: in tables that
go by addresses, and in the allocator. So that two processes lie alike, nothing here has a
length that hangs on the clock, on the load of the machine or on when its input arrives: no
time is taken, and nothing of the kernel's counters is read.
"""

from __future__ import annotations

import ctypes
import gc
from pathlib import Path

import numpy as np

from facebench.harness.runtimes import serving, wire
from facebench.harness.runtimes.registry import RUNTIMES, Infer
from facebench.harness.stats.arrays import FloatArray

# A system call that there is none of: our emulator's plugin sees it and counts between marks.
_MARK = 4077
_RESET, _START, _STOP = 0, 1, 2


class CountedSession:
    """It answers what is asked of an artifact that is open in one runtime."""

    def __init__(self) -> None:
        self._infer: Infer | None = None

    def answer(self, words: list[str], payload: bytes) -> bytes:
        """Answer a request.

        Raises:
            ValueError: nothing is open yet, or the request is of a session that times.
        """
        verb, *rest = words
        if verb == "open":
            chosen = RUNTIMES[rest[0]]
            chosen.load()
            self._infer = chosen.open(Path(payload.decode()), int(rest[1]))
            return b"{}"
        if self._infer is None:
            raise ValueError("nothing is open yet")
        images = wire.images_of(rest[:4], payload)
        if verb == "infer":
            return np.ascontiguousarray(self._infer(images), "<f4").tobytes()
        if verb == "count":
            return _count(self._infer, images)
        raise ValueError(f"a session that is counted does not know {verb!r}")


def _count(infer: Infer, images: FloatArray) -> bytes:
    """Mark no inference, then one: their difference is one without the marks."""
    mark = ctypes.CDLL(None).syscall
    gc.disable()  # it would come at some point of some inference
    mark(_MARK, _RESET)
    infer(images)
    for inferences in (0, 1):
        mark(_MARK, _START)
        for _ in range(inferences):
            infer(images)
        mark(_MARK, _STOP)
    return Path("/proc/self/maps").read_bytes()


if __name__ == "__main__":
    serving.run(CountedSession().answer)
