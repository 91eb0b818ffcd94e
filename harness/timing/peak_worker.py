"""The process that measures a peak: JSON on standard output, a sentence where it cannot."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from facebench.architectures.errors import FacebenchError, UnavailableError
from facebench.harness.compiler import host
from facebench.harness.machine.caches import data_caches, last_level_bytes, second_level_bytes
from facebench.harness.machine.die_with_parent import die_with_parent
from facebench.harness.machine.environment import machine_key, version
from facebench.harness.records.peak import Peak
from facebench.harness.stats.arrays import FloatArray
from facebench.harness.storage import cache, fingerprints
from facebench.harness.timing.peak_shapes import SHAPES, UNROLLED, Shape

# Long against the switch of a thread, short against what others take of a shared machine.
_REPETITION_S = 0.005
_REPETITIONS = 12

# Repetitions that find the fastest shape.
_TRIALS = 2

# So much larger than the last cache that hardly anything of it survives a pass; and where
# the cache's size is not known, larger than most.
_TIMES_THE_CACHE = 4
_LEAST_BUFFER_BYTES = 2**27

# TVM's code takes arrays to start at multiples of it.
_ALIGNMENT = 64


def main() -> None:
    """Measure the peak of as many threads as the argument says."""
    die_with_parent()
    # TVM's packages import it where they can, which takes seconds; nothing here needs it.
    sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        found = _measure(int(sys.argv[1]))
    except ImportError as error:
        sys.exit(f"{error.name} is not installed here: 'pip install apache-tvm' installs it")
    except FacebenchError as error:
        sys.exit(str(error))
    print(json.dumps(asdict(found)))


def _measure(threads: int) -> Peak:
    loops = _loops()
    caches = data_caches()
    buffer_bytes = memory_buffer_bytes(last_level_bytes(caches), psutil.virtual_memory().available)
    cache_bytes = second_level_bytes(caches) // 2
    with ThreadPoolExecutor(threads) as pool:
        team = _Team(pool, threads, loops)
        shape = max(SHAPES, key=lambda one: max(team.multiply_adds(one, _TRIALS)))
        return Peak(
            shape=str(shape),
            multiply_adds_per_s=team.multiply_adds(shape),
            memory_bytes_per_s=team.reading(shape, buffer_bytes // threads),
            memory_buffer_bytes=buffer_bytes,
            cache_bytes_per_s=team.reading(shape, cache_bytes) if cache_bytes else (),
            cache_buffer_bytes=cache_bytes,
        )


def _loops() -> Any:
    """Return the library of loops: `peak_loops.build` says what is in it."""
    import tvm_ffi

    key = cache.digest(
        machine_key(),
        [version(name) for name in ("apache-tvm", "apache-tvm-ffi", "ziglang")],
        fingerprints.code(__name__),
    )
    path = cache.entry("peak", key, _compile) / "loops.so"
    host.require_executable(path)
    return tvm_ffi.load_module(str(path))


def _compile(folder: Path) -> None:
    from facebench.harness.timing import peak_loops  # imports TVM, which takes a second

    peak_loops.build(SHAPES, UNROLLED, folder / "loops.so")


def memory_buffer_bytes(cache_bytes: int, available_bytes: int) -> int:
    """Return the size of a buffer that is read from memory, whatever the caches keep.

    Args:
        cache_bytes: of the last level of cache, all of its parts together.
        available_bytes: of memory.

    Raises:
        UnavailableError: memory has no room for it.
    """
    wanted = max(_LEAST_BUFFER_BYTES, _TIMES_THE_CACHE * cache_bytes)
    if wanted > available_bytes // 2:
        raise UnavailableError(
            f"a buffer that its caches do not hold has {wanted >> 20} MB, and only "
            f"{available_bytes >> 20} MB of memory are free"
        )
    return wanted


@dataclass(frozen=True)
class _Team:
    """Threads that run a loop at the same time, each on arrays of its own."""

    pool: ThreadPoolExecutor
    threads: int
    loops: Any

    def multiply_adds(self, shape: Shape, repetitions: int = _REPETITIONS) -> tuple[float, ...]:
        """Return multiply-adds a second of all threads, one figure a repetition."""
        function = getattr(self.loops, f"fma_{shape}")
        accumulators = self._arrays(shape.elements)
        return self._rates(
            lambda thread, count: function(accumulators[thread], count),
            shape.elements * UNROLLED,
            repetitions,
        )

    def reading(self, shape: Shape, size_bytes: int) -> tuple[float, ...]:
        """Return bytes a second that all threads read, each from a buffer of that size."""
        function = getattr(self.loops, f"read_{shape}")
        accumulators = self._arrays(shape.elements)
        steps = size_bytes // 4 // shape.elements
        data = self._arrays(steps * shape.elements)
        return self._rates(
            lambda thread, count: function(data[thread], accumulators[thread], count),
            4 * steps * shape.elements,
            _REPETITIONS,
        )

    def _arrays(self, elements: int) -> Sequence[FloatArray]:
        """Return one a thread, written by it, so that their memory is near it."""
        return list(self.pool.map(_ones, [elements] * self.threads))

    def _rates(
        self, call: Callable[[int, int], None], amount: int, repetitions: int
    ) -> tuple[float, ...]:
        """Return what all threads do in a second.

        Args:
            call: does it for the thread of that number, so many times.
            amount: that one thread does in one time.
            repetitions: figures wanted.
        """

        def seconds(count: int) -> float:
            def timed(thread: int) -> tuple[float, float]:
                start = time.perf_counter()
                call(thread, count)
                return start, time.perf_counter()

            spans = list(self.pool.map(timed, range(self.threads)))
            return max(end for _, end in spans) - min(start for start, _ in spans)

        count = calibrated(seconds)
        total = self.threads * count * amount
        return tuple(total / seconds(count) for _ in range(repetitions))


def calibrated(seconds: Callable[[int], float]) -> int:
    """Return how often to do what takes `seconds(times)`, so that a repetition is long enough."""
    count = 1
    while (taken := seconds(count)) < _REPETITION_S / 4:
        count *= 4
    return max(1, round(count * _REPETITION_S / taken))


def _ones(elements: int) -> FloatArray:
    """Return aligned ones, normal numbers: zeros that were never written would lie in no memory."""
    spare = _ALIGNMENT // 4
    array = np.ones(elements + spare, np.float32)
    start = -array.ctypes.data % _ALIGNMENT // 4
    return array[start : start + elements]


if __name__ == "__main__":
    main()
