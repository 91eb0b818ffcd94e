"""Checks what may be said of a latency, and says why one is unstable, from its raw samples."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

import numpy as np

from facebench.harness.machine import busy, reference
from facebench.harness.machine.busy import Share
from facebench.harness.records.latency import Latency, Process
from facebench.harness.records.record import Check, Record
from facebench.harness.stats.autocorrelation import effective_size
from facebench.harness.stats.drift import drift
from facebench.harness.stats.intervals import spread
from facebench.harness.stats.modes import modes
from facebench.harness.timing.sampler import Budget

# Names of the conditions that fail where something else slowed the machine.
KEPT_ITS_SPEED, CPUS_ENOUGH = "machine kept its speed", "CPUs enough for all"
NOT_THROTTLED, CPU_FOR_EACH = "not throttled", "a CPU for each session"
DISTURBANCES = (KEPT_ITS_SPEED, CPUS_ENOUGH, NOT_THROTTLED, CPU_FOR_EACH)

# Samples that are worth fewer independent ones than this share of them make the interval
# of a single process too narrow by half.
_LEAST_WORTH = 0.25

# A process whose memory grows by this much an inference, and in all, has a leak. Lists of
# samples and the allocator's habits stay below both.
_LEAK_BYTES = 4096
_LEAK_IN_ALL_BYTES = 2**20

# Others that keep more CPUs busy than this share caches and clocks with a process.
_BUSY_CPUS = 0.5


def checks(latency: Latency, budget: Budget, seconds: float, threads: int) -> tuple[Check, ...]:
    """Return the conditions of validity of a latency.

    Args:
        latency: of one process or several, each with its facts.
        budget: what was to be sampled.
        seconds: that its processes took.
        threads: that its runtime was asked for.
    """
    return (
        *_as_many_threads(latency.process_facts, threads),
        *_kept_its_speed(latency),
        *checks_of_processes(latency),
        *_cpus_enough(latency.process_facts),
        *_memory_is_steady(latency),
        _no_drift(latency),
        _one_mode(latency),
        _independent(latency),
        _narrow(latency, budget, seconds),
    )


def checks_of_processes(latency: Latency) -> tuple[Check, ...]:
    """Return those of `checks` that hold for cases in turns too: what slowed all alike is no
    harm.
    """
    return _settled(latency.process_facts), _not_throttled(latency.process_facts)


def instability(latency: Latency) -> str:
    """Return why the median is not known better, as far as it can be seen."""
    return next(_causes(latency), "nothing that can be read here says why")


def disturbances(*records: Record) -> list[str]:
    """Return the conditions that failed because something else slowed the machine."""
    failed = {check.name for record in records for check in record.failed_checks}
    return [name for name in DISTURBANCES if name in failed]


def slowed_up_to(latency: Latency) -> float:
    """Return how many times its undisturbed time a latency may be; infinite if nothing shows it.

    The reference kernel keeps to the core's own caches, so that what slows it may slow a
    network that needs the memory more: its slowness counts twice. Threads that share a CPU
    with others' get their part of it.
    """
    slowness = _slowness(latency)
    if not slowness:
        return math.inf
    crowded = [
        (share.others + threads) / share.cpus for share, threads in _crowd(latency.process_facts)
    ]
    return max(1.0, *slowness) ** 2 * max([1.0, *crowded])


def _causes(latency: Latency) -> Iterator[str]:
    """Yield the known causes that hold, the surest first."""
    facts = latency.process_facts
    for number, process in enumerate(facts, start=1):
        if process.throttled:
            yield f"process {number} was throttled ({process.throttled})"
    shares = [share for share, _ in _crowd(facts)]
    stolen = max((share.stolen for share in shares), default=0.0)
    if stolen > busy.MOST_STOLEN:
        yield f"a hypervisor took {stolen:.0%} of the machine's time from a process"
    slow = [s for s in _slowness(latency) if s > reference.TOLERANCE]
    if slow:
        yield (
            f"the machine was busy: in {len(slow)} of {_counted(facts)} a reference kernel took "
            f"{max(slow):.2f} times its fastest here (median)"
        )
    others = max((share.others for share in shares), default=0.0)
    if others > _BUSY_CPUS:
        yield f"other processes kept up to {others:.1f} CPUs busy meanwhile"
    if len(latency.by_process) > 1 and (found := spread(latency.by_process)).beyond_samples:
        yield (
            f"processes differ by {found.between:.1%} (standard deviation) and their samples "
            f"explain {found.within:.1%}: code layout or allocation, anew in each"
        )


def _as_many_threads(facts: Sequence[Process], threads: int) -> Iterator[Check]:
    """Yield whether no process had more threads at work than its runtime was asked for.

    Fewer may be: a small network does not keep all of them busy.
    """
    counted = [one.working_threads for one in facts if one.working_threads is not None]
    if counted:
        detail = f"{max(counted)} worked, {threads} asked for"
        yield Check("no more threads than asked for", max(counted) <= threads, detail)


def _kept_its_speed(latency: Latency) -> tuple[Check, ...]:
    # The median of samples moves with what holds for half of them.
    slowness = _slowness(latency)
    if not slowness:
        return ()
    slow = statistics.median(slowness)
    worst = f", up to {max(slowness):.2f} in one process" if len(slowness) > 1 else ""
    detail = (
        f"between samples a reference kernel took {slow:.2f} times its fastest here (median{worst})"
    )
    return (Check(KEPT_ITS_SPEED, slow <= reference.TOLERANCE, detail),)


def _slowness(latency: Latency) -> list[float]:
    """Median of the reference kernel's times in each process, over the fastest that is known."""
    facts = latency.process_facts
    fastest = min((process.fastest_us for process in facts), default=0.0)
    if not fastest:
        return []
    ends = accumulate((process.references for process in facts), initial=0)
    groups = [latency.reference_us[a:b] for a, b in pairwise(ends)]
    return [statistics.median(group) / fastest for group in groups]


def _settled(facts: Sequence[Process]) -> Check:
    longest = max(process.warmups for process in facts)
    restless = sum(not process.settled for process in facts)
    if not restless:
        return Check("warm-up settled", True, f"after {longest} inferences at most")
    detail = (
        f"in {restless} of {_counted(facts)} the last two windows of five inferences still "
        "differ by more than 2 %"
    )
    return Check("warm-up settled", False, detail)


def _not_throttled(facts: Sequence[Process]) -> Check:
    seen = "; ".join(dict.fromkeys(p.throttled for p in facts if p.throttled))
    return Check(NOT_THROTTLED, not seen, seen or "nothing that can be read here shows it")


def _cpus_enough(facts: Sequence[Process]) -> Iterator[Check]:
    """Yield the check whether others left one for each thread; nothing where the machine doesn't
    show it.
    """
    shares = _crowd(facts)
    if shares:
        crowded = sum(not share.leaves(threads) for share, threads in shares)
        others = max(share.others for share, _ in shares)
        stolen = max(share.stolen for share, _ in shares)
        detail = (
            f"other processes kept up to {others:.1f} of {shares[0][0].cpus} CPUs busy, and a "
            f"hypervisor took up to {stolen:.1%} of their time"
        )
        if crowded:
            detail = f"in {crowded} of {_counted(facts)} there were not: {detail}"
        yield Check(CPUS_ENOUGH, 2 * crowded < len(shares), detail)


def _memory_is_steady(latency: Latency) -> Iterator[Check]:
    """Nothing is said where no process's memory is known."""
    known = [
        (process.grown_bytes, len(samples))
        for process, samples in zip(latency.process_facts, latency.by_process, strict=False)
        if process.grown_bytes is not None
    ]
    if known:
        # One process of several may grow once, for a reason of its own.
        grown, count = sorted(known, key=lambda one: one[0] / one[1])[len(known) // 2]
        leaks = grown > _LEAK_IN_ALL_BYTES and grown > _LEAK_BYTES * count
        detail = f"it grew by {max(grown, 0) / 2**20:.1f} MiB in {count} inferences"
        if leaks:
            detail += f", {grown / count / 1024:.0f} KiB each: the runtime leaks"
        yield Check("memory is steady", not leaks, detail)


def _no_drift(latency: Latency) -> Check:
    found = drift(latency.by_process)
    detail = (
        f"the second half of a process's samples took {1 + found.relative_change:.3f} times as "
        f"long as the first (p = {found.p_value:.2g}); the interval is "
        f"{latency.relative_width:.1%} wide"
    )
    return Check("no drift", not found.matters(latency.relative_width), detail)


def _one_mode(latency: Latency) -> Check:
    """Check all samples, each over its process's median: what lies between processes is no mode."""
    groups = latency.by_process
    centred = np.concatenate([np.asarray(group) / statistics.median(group) for group in groups])
    found = modes(centred, sum(map(effective_size, groups)))
    if not found.two:
        return Check("one mode", True, f"dip {found.dip:.2f}, no more than chance or 2 %")
    detail = (
        f"{found.share:.0%} of the samples are about {found.ratio:.2f} times the others, with "
        f"few between (dip {found.dip:.2f}): the median may jump from one mode to the other"
    )
    return Check("one mode", False, detail)


def _independent(latency: Latency) -> Check:
    count = len(latency.samples_ms)
    worth = sum(map(effective_size, latency.by_process))
    detail = f"{count} samples are worth {worth:.0f} independent ones"
    if len(latency.by_process) > 1:
        return Check("interval allows for dependence", True, f"{detail}; its unit is the process")
    passed = worth >= _LEAST_WORTH * count
    wanting = "" if passed else ": the interval is too narrow; measure with several processes"
    return Check("interval allows for dependence", passed, detail + wanting)


def _narrow(latency: Latency, budget: Budget, seconds: float) -> Check:
    width = latency.relative_width
    passed = width <= budget.known_to
    count = len(latency.by_process)
    detail = (
        f"the 95 % interval is {width:.1%} wide over {len(latency.samples_ms)} samples of "
        f"{count} process{'es' * (count > 1)}"
    )
    if not passed:
        ended = (
            f"the {seconds:.0f} s that they took left no time for another"
            if count < budget.most_processes
            else "no more were to be started"
        )
        detail += f", and {ended}; {instability(latency)}"
    return Check(f"median is known to {budget.known_to * 100:g} %", passed, detail)


def _crowd(facts: Sequence[Process]) -> list[tuple[Share, int]]:
    """Return what others took beside each process, and the threads that it was to have CPUs for."""
    return [
        (share, len(one.pinned) or 1)
        for process in facts
        if (one := process.conditions) is not None and (share := one.during) is not None
    ]


def _counted(facts: Sequence[Process]) -> str:
    return f"{len(facts)} process{'es' * (len(facts) > 1)}"
