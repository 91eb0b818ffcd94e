"""Measures who else uses this machine: what others and a hypervisor took of its CPUs' time.

All of it is read from /proc. What a machine does not show is None, and never an error.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from facebench.harness.machine import reference

_ROOT = Path("/")

# The kernel counts in hundredths of a second: a shorter look sees next to nothing.
_LOOK_S = 0.1

# A hypervisor that takes more than this share of the time is felt in a median.
MOST_STOLEN = 0.02

# CPUs that a machine at rest may keep busy beside those that the case has.
_AT_REST = 0.25


@dataclass(frozen=True)
class Ticks:
    """Time since boot in seconds, of all CPUs together.

    Attributes:
        total_s: of all kinds.
        busy_s: in which something ran here.
        stolen_s: in which a hypervisor ran something else, though we had work.
        own_s: in which this process ran.
        cpus: of the machine.
    """

    total_s: float
    busy_s: float
    stolen_s: float
    own_s: float
    cpus: int


@dataclass(frozen=True)
class Share:
    """It is what was taken between two looks.

    Attributes:
        stolen: share of the CPUs' time that a hypervisor gave to others.
        others: CPUs that other processes kept busy, on average.
        cpus: of the machine.
    """

    stolen: float
    others: float
    cpus: int

    def leaves(self, threads: int) -> bool:
        """Return whether so many threads have CPUs of their own."""
        return self.stolen <= MOST_STOLEN and self.others <= max(self.cpus - threads, 0) + _AT_REST


@dataclass(frozen=True)
class Wait:
    """It is the wait for a quiet moment.

    Attributes:
        seconds: waited.
        quiet: whether that moment came.
        load_1min: processes that ran or wanted to, over the last minute.
        slowness: times that the reference kernel took its fastest here, in the end.
        share: what others took in the end; None where it cannot be read.
    """

    seconds: float
    quiet: bool
    load_1min: float | None
    slowness: float
    share: Share | None


def look(root: Path = _ROOT) -> Ticks | None:
    """Return the counts of /proc/stat now; see proc_stat(5)."""
    lines = dict(_stat(root))
    if "cpu" not in lines:
        return None
    user, nice, system, idle, waiting, irq, soft_irq, stolen = lines["cpu"]
    busy = user + nice + system + irq + soft_irq
    second = os.sysconf("SC_CLK_TCK")
    own = os.times()
    return Ticks(
        total_s=(busy + idle + waiting + stolen) / second,
        busy_s=busy / second,
        stolen_s=stolen / second,
        own_s=own.user + own.system + own.children_user + own.children_system,
        cpus=len(lines) - 1,
    )


def between(before: Ticks | None, after: Ticks | None) -> Share | None:
    """Return what others took between two looks; None where there are none, or no time passed."""
    if before is None or after is None or after.total_s <= before.total_s:
        return None
    total = after.total_s - before.total_s
    busy = after.busy_s - before.busy_s - (after.own_s - before.own_s)
    return Share(
        stolen=max(after.stolen_s - before.stolen_s, 0.0) / total,
        others=max(busy, 0.0) / total * after.cpus,
        cpus=after.cpus,
    )


def wait_for_quiet(
    threads: int, limit_s: float, root: Path = _ROOT, since: Ticks | None = None
) -> Wait:
    """Return once so many threads would have this machine for themselves, or after a while.

    Quiet is: the reference kernel is about as fast as it has been here, a
    hypervisor takes nothing, and others leave as many CPUs as there are threads.

    Args:
        threads: that are to run.
        limit_s: waited at most, in seconds.
        root: of the file system that shows the machine.
        since: a look just before, from which on the first moment is taken to be.
    """
    start = time.monotonic()
    while True:
        before, since = since or look(root), None
        time.sleep(max(0.0, _LOOK_S - _age_s(before, look(root))))
        slowness = _slowness()
        share = between(before, look(root))
        quiet = slowness <= reference.TOLERANCE and (share is None or share.leaves(threads))
        waited = time.monotonic() - start
        if quiet or waited >= limit_s:
            return Wait(waited, quiet, load_1min(root), slowness, share)


def _age_s(before: Ticks | None, now: Ticks | None) -> float:
    return 0.0 if before is None or now is None else (now.total_s - before.total_s) / now.cpus


def load_1min(root: Path = _ROOT) -> float | None:
    """Return processes that ran or wanted to, on average over the last minute."""
    try:
        return float((root / "proc/loadavg").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def by_cpu(root: Path = _ROOT) -> dict[int, int]:
    """Return ticks in which each CPU was busy or taken away, since boot."""
    counts = {}
    for name, (user, nice, system, _, _, irq, soft_irq, stolen) in _stat(root):
        if name != "cpu":
            counts[int(name.removeprefix("cpu"))] = user + nice + system + irq + soft_irq + stolen
    return counts


def _slowness() -> float:
    now = reference.time_us()
    return now / reference.fastest_us(now)


def _stat(root: Path) -> Iterator[tuple[str, list[int]]]:
    """Ticks by kind, of all CPUs as `cpu` and of each; none where they cannot be read."""
    try:
        text = (root / "proc/stat").read_text()
    except OSError:
        return
    for line in text.splitlines():
        name, *ticks = line.split() or [""]
        if name.startswith("cpu") and len(ticks) >= 8:
            yield name, [int(tick) for tick in ticks[:8]]
