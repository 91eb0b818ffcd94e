"""Runs jobs: what is stored already is taken from there, the rest is obtained in stages.

What a first report needs comes in a phase before all else, and each phase has stages. Jobs of
the early stages (export, cost, compilation) run side by side. Jobs that are timed run one after
the other, alone, their processes in rounds.
"""

from __future__ import annotations

import os
import queue
import threading
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import compress, groupby
from operator import not_
from typing import Protocol

from facebench.harness.devices.registry import DEVICES
from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import MEASURES, failed
from facebench.harness.models import export
from facebench.harness.models.networks import Network
from facebench.harness.records.latency import Latency
from facebench.harness.records.peak import Peak
from facebench.harness.records.record import Record
from facebench.harness.records.store import Store
from facebench.harness.runs import long_run, rounds, worker_pool
from facebench.harness.runs.checkpoints import Checkpoints, claim
from facebench.harness.runs.phases import FIRST
from facebench.harness.runs.rounds import NOBODY, Execute, RunListener
from facebench.harness.runs.schedule import in_order, stage, waits_for_export
from facebench.harness.runs.worker_pool import Start
from facebench.harness.runtimes.registry import RUNTIMES
from facebench.harness.storage.progress import SILENT, Progress


def run(
    jobs: Sequence[Job],
    store: Store | None = None,
    listener: RunListener = NOBODY,
    obtain: Obtain | None = None,
) -> list[Record]:
    """Obtain a record for each job.

    A job whose fingerprint is in the store with an `ok` or `refused` record is
    not run again. Each new record is in the store before the next job begins,
    and of a case of several processes each is kept, so a run that is killed goes
    on where it was. Of two runs at the same time each obtains what was missing when
    it began. `obtain` obtains records elsewhere than here, such as on a cluster.

    Returns:
        The records, in the order of the jobs.
    """
    token = uuid.uuid4().hex
    known = _stored(store)
    records: dict[str, Record] = {}
    waiting = []
    with claim(store.path if store is not None else None) as parts:
        for job in jobs:
            if job.fingerprint in known:
                record = known[job.fingerprint]
                parts.forget(record)  # the run that stored it may have had no time to
                records[job.case.key] = record
                listener.record(record, True)
            else:
                waiting.append(job)
        stream = (obtain or _obtain)(waiting, Watch(listener, parts))
        try:
            for found in stream:
                record = long_run.told(long_run.of_run(found, token), found.fingerprint)
                if store is not None:
                    store.append(record)
                    parts.forget(record)
                records[record.case.key] = record
                listener.record(record, False)
        finally:
            # A notebook goes on after Ctrl-C: nothing is begun any more that nobody waits for.
            if isinstance(stream, Generator):
                stream.close()
    return [records[job.case.key] for job in jobs]


@dataclass(frozen=True)
class Watch:
    """Who is told what while jobs run alone, and what they keep."""

    listener: RunListener
    parts: Checkpoints

    def rounds(self, jobs: Sequence[Job], execute: Execute) -> Iterator[Record]:
        """Run jobs alone on one device, in rounds."""
        return rounds.run(jobs, execute, self.parts, self.listener)

    def ahead(self, jobs: Sequence[Job], execute: Execute) -> Iterator[Record]:
        """Run those of their processes that come before other cases, in rounds."""
        return rounds.ahead(jobs, execute, self.parts, self.listener)


# Runs jobs alone on one device, in rounds: a method of `Watch`.
Rounds = Callable[[Sequence[Job], Execute], Iterator[Record]]

# Obtains a record for each job, in the order in which they come.
Obtain = Callable[[Sequence[Job], Watch], Iterator[Record]]


class JobRunner(Protocol):
    """Obtains a record for each job: `run`, or a function that shows a bar while it does."""

    def __call__(
        self, jobs: Sequence[Job], store: Store | None = None, *, obtain: Obtain | None = None
    ) -> list[Record]:
        """Obtain the records, in the order of the jobs; see `run`."""
        ...


def here(progress: Progress, start: Start | None = None) -> Execute:
    """Return a function that runs jobs on this machine, in processes that `start` starts.

    The machine's peak is measured before the first case of each runtime, and stands for all.
    """
    peaks: dict[tuple[str, int], Peak] = {}

    def execute(job: Job) -> Record:
        where = job.case.runtime, job.case.threads
        # A process each, so that a case that hangs takes no other along.
        (record,) = worker_pool.execute([replace(job, peak=peaks.get(where))], progress, start)
        if isinstance(record.result, Latency) and record.result.peak is not None:
            peaks[where] = record.result.peak
        return record

    return execute


def _stored(store: Store | None) -> dict[str, Record]:
    if store is None:
        return {}
    return {record.fingerprint: record for record in store.read() if record.status != "failed"}


def _obtain(jobs: Sequence[Job], watch: Watch) -> Iterator[Record]:
    """Run jobs phase by phase, and what is to run ahead of its phase with the first."""
    ahead = [job for job in jobs if job.budget.ahead]
    phases = sorted({job.phase for job in jobs} | ({FIRST} if ahead else set()))
    over: set[str] = set()
    for number, phase in enumerate(phases):
        watch.listener.begins(number, len(phases))
        waiting = [job for job in jobs if job.phase == phase and job.case.key not in over]
        for record in _in_stages(waiting, watch, watch.rounds):
            over.add(record.case.key)
            yield record
        if ahead and phase == FIRST:
            for record in _in_stages(ahead, watch, watch.ahead):
                over.add(record.case.key)
                yield record


def _in_stages(jobs: Sequence[Job], watch: Watch, rounds: Rounds) -> Iterator[Record]:
    """Run jobs stage by stage; what is timed, in such rounds."""
    for _, group in groupby(in_order(jobs), key=stage):
        members = list(group)
        if not waits_for_export(members[0]):
            yield from _side_by_side(members)
            continue
        why = export_missing(members)
        ready = []
        for job in members:
            exported = export.find(job.network)
            if exported is None:
                yield without_network(job, why.get(job.network))
            else:
                ready.append(replace(job, exported=exported.folder))
        if ready and MEASURES[ready[0].case.measure].exclusive:
            unprepared = _unprepared(ready)
            yield from unprepared.values()
            timed = [job for job in ready if job.case.key not in unprepared]
            yield from _alone(timed, watch, rounds)
        else:
            yield from _side_by_side(ready)


def _unprepared(jobs: Sequence[Job]) -> dict[str, Record]:
    """Make, side by side, what takes seconds and would come one after the other; return records of
    cases where that goes wrong.
    """
    artifacts = {
        (job.network, job.case.runtime, job.case.precision, job.case.batch, job.case.target): job
        for job in jobs
        if MEASURES[job.case.measure].prepare and RUNTIMES[job.case.runtime].converts
    }
    if len(artifacts) < 2:
        return {}
    prepared = _side_by_side([replace(job, prepares=True) for job in artifacts.values()])
    return {record.case.key: record for record in prepared if record.status != "ok"}


def _alone(jobs: Sequence[Job], watch: Watch, rounds: Rounds) -> Iterator[Record]:
    """Run jobs alone on their device: here first, then on all other devices at once."""
    remote = [DEVICES[job.case.device].remote for job in jobs]
    local = list(compress(jobs, map(not_, remote)))
    with worker_pool.Forks(local) as forks:
        yield from rounds(local, here(watch.listener, forks.start))
    yield from elsewhere(list(compress(jobs, remote)), rounds, here(SILENT))


def elsewhere(jobs: Sequence[Job], rounds: Rounds, execute: Execute) -> Iterator[Record]:
    """Run jobs on devices beside this machine, on all of them at once."""
    ordered = sorted(jobs, key=lambda job: job.case.device)
    streams: list[list[Job]] = []
    for device, group in groupby(ordered, key=lambda job: job.case.device):
        members = list(group)
        slots = DEVICES[device].facts().slots
        streams += [stream for i in range(slots) if (stream := members[i::slots])]
    yield from at_once([rounds(stream, execute) for stream in streams])


def export_missing(jobs: Sequence[Job]) -> dict[Network, Record]:
    """Export here what these jobs need where no job of this run has.

    Returns:
        The record of each network's export that was missing; they are not stored.
    """
    missing = {job.network: job for job in jobs if export.find(job.network) is None}
    exports = [replace(j, case=replace(j.case, measure="export")) for j in missing.values()]
    networks = {job.case.key: job.network for job in exports}
    return {networks[record.case.key]: record for record in _side_by_side(exports)}


def _side_by_side(jobs: Sequence[Job]) -> Iterator[Record]:
    """Run jobs in as many processes as there are cores; those of a target, or else of a network,
    stay together: what they share is made once.
    """
    if not jobs:
        return
    processes = len(os.sched_getaffinity(0))
    by_target = len({job.case.target for job in jobs}) > 1
    shared = [job.case.target if by_target else job.network for job in jobs]
    numbers = {one: i for i, one in enumerate(dict.fromkeys(shared))}
    groups = [
        [job for job, one in zip(jobs, shared, strict=True) if numbers[one] % processes == i]
        for i in range(processes)
    ]
    streams = [worker_pool.execute(group, SILENT) for group in groups if group]
    yield from at_once(streams)


def at_once(streams: Sequence[Iterator[Record]]) -> Iterator[Record]:
    """Yield all records of streams that run at the same time, as they come."""
    # None: a stream has no more.
    done: queue.SimpleQueue[Record | BaseException | None] = queue.SimpleQueue()
    given_up = threading.Event()

    def work(stream: Iterator[Record]) -> None:
        try:
            for record in stream:
                done.put(record)
                if given_up.is_set():
                    return
            done.put(None)
        except BaseException as error:
            done.put(error)

    # Daemons: nothing waits for them where a run is given up, after Ctrl-C or on a full disk.
    for stream in streams:
        threading.Thread(target=work, args=(stream,), daemon=True).start()
    left = len(streams)
    try:
        while left:
            found = done.get()
            if isinstance(found, BaseException):
                raise found
            if found is None:
                left -= 1
            else:
                yield found
    finally:
        given_up.set()


def without_network(job: Job, exported: Record | None) -> Record:
    """Return the record of a job whose network could not be exported, with the reason.

    Args:
        job: what came to nothing.
        exported: the record of the network's export; None where it is not known.
    """
    if exported is None or exported.status == "ok":
        return failed(job, f"{job.network.name} could not be exported: run the command again")
    return replace(failed(job, exported.reason), status=exported.status)
