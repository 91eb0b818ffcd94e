"""Cases timed in turns: what slows the machine for a second slows all of them alike.

Whoever shares the machine takes its caches and clocks for seconds at a time, which is
as long as a process lasts that times one case: two processes after each other differ by
what happened meanwhile. Here one process a case lives at the same time, on the same
CPUs, and each infers some ten times before it is the next one's turn. What is compared
is each turn with the one beside it (after L. Bulej et al., "Duet benchmarking:
improving measurement accuracy in the cloud", ICPE 2020, where the two run at once).
"""

from __future__ import annotations

import contextlib
import math
import os
import statistics
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from facebench.architectures.errors import FacebenchError
from facebench.harness.comparison.interleaved.prepared_case import PreparedCase
from facebench.harness.comparison.interleaved.worker_handle import Turn, WorkerHandle
from facebench.harness.machine import busy, heat, pinning, reference
from facebench.harness.machine.conditions import Conditions
from facebench.harness.measures import validity
from facebench.harness.records.latency import Latency, Process
from facebench.harness.records.record import Record
from facebench.harness.runs import long_run
from facebench.harness.storage import cache
from facebench.harness.storage.progress import SILENT, Progress
from facebench.harness.timing.sampler import WINDOW

# Waited at most, in seconds, for heat to go and for a moment of quiet.
_COOL_S = 60.0
_QUIET_S = 1.0


@dataclass(frozen=True)
class Turns:
    """It says how much is sampled.

    Attributes:
        processes: of each case; each is a comparison of its own with those beside it.
        turns: of each process.
        turn_s: that a turn takes about, in seconds; it is one inference at least.
        warmup_s: longest warm-up of a process, in seconds.
        pin: whether processes are kept on as many CPUs as they have threads.
    """

    processes: int = 6
    turns: int = 16
    turn_s: float = 0.05
    warmup_s: float = 2.0
    pin: bool = True


@dataclass(eq=False)
class _Side:
    """What is known of one case so far."""

    prepared: PreparedCase
    turns: list[Turn] = field(default_factory=list)
    warmup_ms: list[float] = field(default_factory=list)
    facts: list[Process] = field(default_factory=list)
    failed: str = ""

    def take(
        self, worker: WorkerHandle, turns: Sequence[Turn], throttled: str, seen: Conditions
    ) -> None:
        """Keep what a process gave."""
        references = [turn.reference_us for turn in turns]
        self.turns += turns
        self.warmup_ms += worker.warmup_ms
        self.facts.append(
            Process(
                worker.load_ms,
                len(worker.warmup_ms),
                len(references),
                worker.settled,
                reference.fastest_us(*references),
                throttled,
                seen,
            )
        )


def measure(
    cases: Sequence[PreparedCase], budget: Turns, progress: Progress = SILENT
) -> list[Record]:
    """Time cases in turns; a record each, which say that they belong together.

    A case whose process fails is out, with a record that says why, and the others go on.

    Args:
        cases: prepared ones, all for as many threads; what could not be prepared
            keeps the record that says why.
        budget: how much is sampled.
        progress: told how many rounds of processes are done.
    """
    start = time.perf_counter()
    sides = [_Side(case) for case in cases]
    token = uuid.uuid4().hex
    for number in range(budget.processes):
        alive = [side for side in sides if side.prepared.artifact and not side.failed]
        if not alive:
            break
        first = number % len(alive)
        _round([*alive[first:], *alive[:first]], budget)
        progress.at(number + 1, budget.processes)
    seconds = time.perf_counter() - start
    return [_record(side, budget, token, seconds) for side in sides]


def _round(sides: Sequence[_Side], budget: Turns) -> None:
    """Time one process a side, all at once."""
    with contextlib.ExitStack() as stack:
        workers = [(side, stack.enter_context(WorkerHandle(side.prepared))) for side in sides]
        for _, worker in workers:
            worker.ask_to_open()
        workers = list(_those_that(workers, lambda worker: worker.opened()))
        if not workers:
            return
        threads = sides[0].prepared.case.threads
        allowed = os.sched_getaffinity(0)
        fits = budget.pin and threads <= len(allowed)
        cpus = pinning.choose(threads, allowed) if fits else ()
        heat.cool_down(_COOL_S)
        workers = list(
            _those_that(workers, lambda worker: worker.warm_up(set(cpus), budget.warmup_s))
        )
        waited = busy.wait_for_quiet(threads, _QUIET_S)
        before, hot = busy.look(), heat.capture()
        taken, lasting = _in_turns(workers, budget)
        throttled = heat.throttled(hot, heat.capture())
        during = busy.between(before, busy.look())
        for side, worker in lasting:
            side.take(worker, taken[side], throttled, Conditions(cpus, waited, during))


def _in_turns(
    workers: Sequence[tuple[_Side, WorkerHandle]], budget: Turns
) -> tuple[dict[_Side, list[Turn]], list[tuple[_Side, WorkerHandle]]]:
    """So many turns of each, the order reversed every time; and who lasted to the end."""
    counts = {side: _count(worker.warmup_ms, budget.turn_s) for side, worker in workers}
    taken: dict[_Side, list[Turn]] = {side: [] for side, _ in workers}
    for _ in range(budget.turns):
        lasting = []
        for side, worker in workers:
            with _failing(side):
                taken[side].append(worker.turn(counts[side]))
                lasting.append((side, worker))
        workers = lasting[::-1]
    return taken, list(workers)


def _count(warmup_ms: Sequence[float], turn_s: float) -> int:
    """Return inferences of a turn."""
    return max(1, math.ceil(turn_s * 1e3 / statistics.median(warmup_ms[-WINDOW:])))


def _those_that(
    workers: Sequence[tuple[_Side, WorkerHandle]], do: Callable[[WorkerHandle], None]
) -> Iterator[tuple[_Side, WorkerHandle]]:
    """Yield the workers that do it without failing."""
    for side, worker in workers:
        with _failing(side):
            do(worker)
            yield side, worker


@contextlib.contextmanager
def _failing(side: _Side) -> Iterator[None]:
    try:
        yield
    except FacebenchError as error:
        side.failed = str(error)


def _record(side: _Side, budget: Turns, token: str, seconds: float) -> Record:
    prepared = side.prepared
    record = replace(
        prepared.record,
        fingerprint=cache.digest(prepared.fingerprint, token),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        duration_s=round(seconds, 3),
    )
    known = prepared.record.result
    if not isinstance(known, Latency):
        return record
    if side.failed or not side.facts:
        reason = side.failed or "no process of it gave times"
        return replace(record, status="failed", result=None, reason=reason)
    latency = Latency(
        samples_ms=tuple(ms for turn in side.turns for ms in turn.samples_ms),
        warmup_ms=tuple(side.warmup_ms),
        load_ms=statistics.median(fact.load_ms for fact in side.facts),
        output_error=known.output_error,
        label=known.label,
        reference_us=tuple(turn.reference_us for turn in side.turns),
        processes=_per_process(side, budget),
        process_facts=tuple(side.facts),
        turns=tuple(len(turn.samples_ms) for turn in side.turns),
        beside=token,
    )
    checks = (*record.checks, *validity.checks_of_processes(latency))
    return long_run.told(replace(record, result=latency, checks=checks), prepared.fingerprint)


def _per_process(side: _Side, budget: Turns) -> tuple[int, ...]:
    """Return how many samples each process gave."""
    counts = [len(turn.samples_ms) for turn in side.turns]
    starts = range(0, len(counts), budget.turns)
    return tuple(sum(counts[start : start + budget.turns]) for start in starts)
