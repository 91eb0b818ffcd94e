"""A process is kept on the CPUs that suit it best, for as long as it is timed."""

import os
import threading
from pathlib import Path

import pytest

from facebench.harness.machine import pinning
from facebench.harness.machine.pinning import CpuTicks

CPU = "sys/devices/system/cpu/cpu{}"


def machine(folder: Path, fastest_khz: list[int], siblings: list[str]) -> Path:
    for number, (khz, together) in enumerate(zip(fastest_khz, siblings, strict=True)):
        cpu = folder / CPU.format(number)
        (cpu / "cpufreq").mkdir(parents=True)
        (cpu / "topology").mkdir()
        (cpu / "cpufreq/cpuinfo_max_freq").write_text(f"{khz}\n")
        (cpu / "topology/thread_siblings_list").write_text(f"{together}\n")
    (folder / "proc").mkdir()
    return folder


@pytest.mark.parametrize(
    ("fastest_khz", "siblings", "threads", "chosen"),
    [
        ([1800] * 4, ["0", "1", "2", "3"], 2, (2, 3)),
        ([1800, 1800, 2400, 2400], ["0", "1", "2", "3"], 2, (2, 3)),
        ([2400, 2400, 1800, 1800], ["0", "1", "2", "3"], 1, (1,)),
        ([3000] * 4, ["0-1", "0-1", "2-3", "2-3"], 2, (0, 2)),
        ([3000] * 4, ["0,2", "1,3", "0,2", "1,3"], 3, (0, 1, 3)),
    ],
)
def test_the_fastest_cores_are_chosen_and_one_cpu_of_each(
    fastest_khz: list[int], siblings: list[str], threads: int, chosen: tuple[int, ...],
    tmp_path: Path,
) -> None:  # fmt: skip
    root = machine(tmp_path, fastest_khz, siblings)
    assert pinning.choose(threads, {0, 1, 2, 3}, root) == chosen


def test_of_equal_cpus_the_idlest_is_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter([{0: 0, 1: 0, 2: 0}, {0: 9, 1: 1, 2: 5}])
    monkeypatch.setattr(pinning.busy, "by_cpu", lambda root: next(looks))
    assert pinning.choose(1, {0, 1, 2}, tmp_path) == (1,)


@pytest.mark.parametrize(
    ("before", "waits"),
    [
        (CpuTicks({0: 0, 1: 0}, 0.0, 1, 0.0), False),
        (CpuTicks({0: 0, 1: 0}, 0.0, 0, 0.0), True),  # it was moved meanwhile
        (CpuTicks({0: 0, 1: 0}, 0.0, 1, 0.95), True),  # too short a time
        (CpuTicks({0: 0, 1: 0}, -100.0, 1, 0.0), True),  # several threads
        (CpuTicks({0: 0, 1: 0}, 0.0, None, 0.0), True),  # not known on which CPU
    ],
)
def test_an_earlier_look_saves_the_wait_where_it_tells_what_others_did(
    before: CpuTicks, waits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    # In the second since then this process kept CPU 1 busy for 0.8, and others CPU 0 for 0.3.
    now = CpuTicks({0: 30, 1: 82}, 80.0, None if before.cpu is None else 1, 1.0)
    looks = iter([now, CpuTicks({0: 30, 1: 91}, 80.0, 1, 1.1)])
    monkeypatch.setattr(pinning, "_TICKS_A_SECOND", 100)
    monkeypatch.setattr(pinning, "look", lambda root: next(looks))
    monkeypatch.setattr(pinning.time, "sleep", waited.append)
    chosen = pinning.choose(1, {0, 1}, tmp_path, since=before)
    assert chosen == ((0,) if waits else (1,))
    assert bool(waited) is waits


def test_all_threads_are_pinned_and_let_go_again() -> None:
    allowed = os.sched_getaffinity(0)
    leave, seen = threading.Event(), threading.Event()

    def wait() -> None:
        seen.set()
        leave.wait()

    other = threading.Thread(target=wait)
    other.start()
    seen.wait()
    with pinning.pinned(1) as cpus:
        assert len(cpus) == 1
        for task in (0, other.native_id or 0):
            assert os.sched_getaffinity(task) == set(cpus)
    for task in (0, other.native_id or 0):
        assert os.sched_getaffinity(task) == allowed
    leave.set()
    other.join()


@pytest.mark.parametrize("threads", [0, 10_000])
def test_where_it_is_not_wanted_or_does_not_fit_nothing_is_pinned(threads: int) -> None:
    allowed = os.sched_getaffinity(0)
    with pinning.pinned(threads) as cpus:
        assert cpus == ()
        assert os.sched_getaffinity(0) == allowed
    assert os.sched_getaffinity(0) == allowed


def test_where_the_kernel_does_not_allow_it_that_is_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(task: int, cpus: set[int]) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    with pinning.pinned(1) as cpus:
        assert cpus == ()
