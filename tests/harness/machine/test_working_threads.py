"""Threads at work are counted by the time that the kernel gave each of them a CPU."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from facebench.harness.machine import working_threads


@pytest.mark.skipif(not working_threads.cpu_seconds(), reason="this kernel tells no thread's time")
@pytest.mark.parametrize("busy", [0, 1, 2])
def test_threads_that_work_are_told_from_those_that_wait(busy: int) -> None:
    stop, ended = threading.Event(), threading.Event()
    square = np.ones((256, 256))

    def work() -> None:
        while not stop.is_set():
            square @ square  # outside the interpreter's lock

    threads = [threading.Thread(target=work) for _ in range(busy)]
    threads += [threading.Thread(target=ended.wait) for _ in range(3)]
    before = working_threads.cpu_seconds()
    for one in threads:
        one.start()
    time.sleep(0.5)
    found = working_threads.worked(before, working_threads.cpu_seconds(), 0.5)
    stop.set()
    ended.set()
    for one in threads:
        one.join()
    # Its matrix library may have threads of its own.
    assert found is not None
    assert found >= busy
    assert bool(found) == bool(busy)


def test_what_the_kernel_does_not_tell_is_not_known(tmp_path: Path) -> None:
    assert working_threads.cpu_seconds(tmp_path) == {}
    (tmp_path / "12").mkdir()
    assert working_threads.cpu_seconds(tmp_path) == {}
    (tmp_path / "12" / "schedstat").write_text("2500000000 3 4\n")
    assert working_threads.cpu_seconds(tmp_path) == {"12": 2.5}
    assert working_threads.worked({}, {}, 1.0) is None


def test_a_new_thread_counts_from_nothing() -> None:
    assert working_threads.worked({"1": 5.0}, {"1": 5.001, "2": 0.9, "3": 0.95}, 1.0) == 2
