"""Keeps this process on as many CPUs as it has threads, so that it is not moved about.

A process that the scheduler moves finds cold caches where it arrives; on a CPU
with cores of several kinds it even finds another core.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from facebench.harness.machine import busy

_ROOT = Path("/")

# Long enough for the kernel's counts of busy time to differ between CPUs.
_LOOK_S = 0.1

# What rounding to ticks adds to a time.
_SLACK_S = 0.02

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class CpuTicks:
    """It is what the CPUs have done at one moment.

    Attributes:
        ticks: in which each was busy since boot.
        own_ticks: of these, this process's.
        cpu: on which this process runs; None where that cannot be read.
        at_s: the time.
    """

    ticks: Mapping[int, int]
    own_ticks: float
    cpu: int | None
    at_s: float

    def tells(self, now: CpuTicks) -> bool:
        """Return whether this is long enough ago, and known on which CPU this process ran since."""
        elapsed = now.at_s - self.at_s
        own = (now.own_ticks - self.own_ticks) / _TICKS_A_SECOND
        same = self.cpu is not None and self.cpu == now.cpu
        return same and elapsed >= _LOOK_S and own <= elapsed + _SLACK_S

    def tenths_busy(self, now: CpuTicks, cpu: int) -> int:
        """Return for how many tenths of the time since others kept a CPU busy."""
        all_of_it = now.ticks.get(cpu, 0) - self.ticks.get(cpu, 0)
        own = now.own_ticks - self.own_ticks if cpu == now.cpu else 0.0
        return round(10 * max(all_of_it - own, 0.0) / (_TICKS_A_SECOND * (now.at_s - self.at_s)))


def look(root: Path = _ROOT) -> CpuTicks:
    """Return what the CPUs have done until now."""
    own = os.times()
    own_ticks = (own.user + own.system) * _TICKS_A_SECOND
    return CpuTicks(busy.by_cpu(root), own_ticks, _running_on(root), time.monotonic())


@contextlib.contextmanager
def pinned(threads: int, since: CpuTicks | None = None) -> Iterator[tuple[int, ...]]:
    """Pin all threads of this process to so many CPUs, and give their numbers; none if it cannot.

    Threads that a runtime has already are pinned too; afterwards each may run where it
    might before.

    Args:
        threads: that are to run.
        since: a look from before; else one is taken, and a moment waited.
    """
    before = _affinities()
    allowed = os.sched_getaffinity(0)
    chosen = choose(threads, allowed, since=since) if 0 < threads <= len(allowed) else ()
    # A thread that ends meanwhile is no reason to say that the process is not pinned.
    done = [task for task in before if chosen and _set(task, set(chosen))]
    try:
        yield chosen if done else ()
    finally:
        for task in _affinities():  # those that were started meanwhile included
            if done:
                _set(task, before.get(task, allowed))


def choose(
    threads: int, allowed: set[int], root: Path = _ROOT, since: CpuTicks | None = None
) -> tuple[int, ...]:
    """Return the CPUs for so many threads: of the fastest cores, one of each core, the idlest.

    Interrupts go to the first CPU by habit, so that of equals the last is taken.
    """
    before, now = since, look(root)
    if before is None or not before.tells(now):
        before = now
        time.sleep(_LOOK_S)
        now = look(root)

    def rank(cpu: int) -> tuple[int, int, int, int]:
        siblings = _siblings(cpu, root)
        first = siblings.index(cpu) if cpu in siblings else 0
        return -_fastest_khz(cpu, root), first, before.tenths_busy(now, cpu), -cpu

    return tuple(sorted(sorted(allowed, key=rank)[:threads]))


def move(process: int, cpus: set[int]) -> None:
    """Keep a process of ours, with all threads that it has and will have, on some CPUs."""
    for task in _tasks(process):
        _set(task, cpus)


def _affinities() -> dict[int, set[int]]:
    """CPUs on which each thread of this process may run, by its number."""
    found = {}
    for task in _tasks():
        with contextlib.suppress(OSError):
            found[task] = os.sched_getaffinity(task)
    return found


def _tasks(process: int | str = "self") -> list[int]:
    try:
        return [int(name) for name in os.listdir(f"/proc/{process}/task")]
    except OSError:
        return []


def _set(task: int, cpus: set[int]) -> bool:
    try:
        os.sched_setaffinity(task, cpus)
    except (OSError, ValueError):
        return False
    return True


def _running_on(root: Path) -> int | None:
    """Return the CPU on which this process last ran; see proc_pid_stat(5)."""
    fields = _text(root / "proc/self/stat").rpartition(")")[2].split()
    return int(fields[36]) if len(fields) > 36 else None


def _siblings(cpu: int, root: Path) -> list[int]:
    """Return CPUs of one core, in order."""
    return _numbers(_text(root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"))


def _fastest_khz(cpu: int, root: Path) -> int:
    text = _text(root / f"sys/devices/system/cpu/cpu{cpu}/cpufreq/cpuinfo_max_freq")
    return int(text) if text.isdecimal() else 0


def _numbers(text: str) -> list[int]:
    """Numbers of a list as the kernel writes it, such as `0-2,8`."""
    numbers: list[int] = []
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
