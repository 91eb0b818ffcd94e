"""A worker whose ONNX Runtime goes wrong: `python -m tests.faults.faulty_worker PARENT FAULT`."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from facebench.harness.runs import worker
from facebench.harness.runtimes.registry import RUNTIMES, Infer
from facebench.harness.stats.arrays import FloatArray

# Calls after which a runtime goes wrong: warmed up, and in the middle of its samples.
_FROM = 40

_kept: list[object] = []

Fault = Callable[[int, FloatArray], FloatArray]


def abort(call: int, answer: FloatArray) -> FloatArray:
    """Crash in the middle."""
    if call > _FROM:
        os.abort()
    return answer


def leave(call: int, answer: FloatArray) -> FloatArray:
    """End the process as if all were well."""
    if call > _FROM:
        os._exit(0)
    return answer


def hang(call: int, answer: FloatArray) -> FloatArray:
    """Never answer again."""
    if call > _FROM:
        print("waiting for a lock", file=sys.stderr, flush=True)
        time.sleep(1e6)
    return answer


def hang_silenced(call: int, answer: FloatArray) -> FloatArray:
    """Close every file, and never answer again."""
    if call > _FROM:
        os.closerange(3, 256)
        time.sleep(1e6)
    return answer


def leak(call: int, answer: FloatArray) -> FloatArray:
    """Hold 256 KiB of each inference."""
    _kept.append(bytearray(os.urandom(1)) * 2**18)
    return answer


def exhaust(call: int, answer: FloatArray) -> FloatArray:
    """Ask for more memory than there is."""
    if call > _FROM:
        resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33))
        _kept.append(np.ones(2**34, np.uint8))
    return answer


def oom(call: int, answer: FloatArray) -> FloatArray:
    """What the kernel does where memory is short."""
    if call > _FROM:
        os.kill(os.getpid(), 9)
    return answer


def garbage(call: int, answer: FloatArray) -> FloatArray:
    """Print on standard output, without end and not as text."""
    os.write(1, b"\xff\x00{]" * 1000 + b"\n")
    print("a library's greeting")
    return answer


def not_a_number(call: int, answer: FloatArray) -> FloatArray:
    """NaN in one element."""
    answer[0, 0] = np.nan
    return answer


def infinite(call: int, answer: FloatArray) -> FloatArray:
    """Infinity in one element."""
    answer[0, -1] = np.inf
    return answer


def short(call: int, answer: FloatArray) -> FloatArray:
    """One element too few."""
    return answer[:, 1:]


def flat(call: int, answer: FloatArray) -> FloatArray:
    """All elements in one row."""
    return answer.reshape(-1)


def nothing(call: int, answer: FloatArray) -> FloatArray:
    """No array at all."""
    return None  # type: ignore[return-value]


def another(call: int, answer: FloatArray) -> FloatArray:
    """One part in a hundred off."""
    answer[0, 0] *= np.float32(1.01)
    return answer


def crowd(call: int, answer: FloatArray) -> FloatArray:
    """Other processes come in the middle, four for each CPU, and stay."""
    if call == _FROM * 50:
        for _ in range(4 * (os.cpu_count() or 1)):
            code = "import time; end = time.monotonic() + 60\nwhile time.monotonic() < end: pass"
            _kept.append(subprocess.Popen([sys.executable, "-c", code]))
    return answer


def main() -> None:
    """Wrap the runtime, and work as any worker does."""
    fault: Fault = globals()[sys.argv.pop()]
    whole = RUNTIMES["onnxruntime"]

    def open_(path: Path, threads: int) -> Infer:
        session = whole.open(path, threads)
        calls = 0

        def infer(images: FloatArray) -> FloatArray:
            nonlocal calls
            calls += 1
            return fault(calls, session(images))

        return infer

    RUNTIMES._entries["onnxruntime"] = replace(whole, open=open_)
    try:
        worker.main()
    finally:
        for one in _kept:
            if isinstance(one, subprocess.Popen):
                one.kill()


if __name__ == "__main__":
    main()
