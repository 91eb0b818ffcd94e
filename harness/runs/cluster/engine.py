"""Obtains the records of jobs on the machines of a Ray cluster.

What is not timed goes wherever there are cores. What is timed goes to one machine, alone:
times are compared between records of one machine only, or of machines that are declared
identical and have shown it in a calibration case. What runs on boards is run from here, or
from the machine that has the board as a resource.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from facebench.architectures.errors import (
    BadInputError,
    FacebenchError,
    LostError,
    UnavailableError,
)
from facebench.harness.measures.job import Job
from facebench.harness.measures.registry import MEASURES, failed, runs_elsewhere, timed_here
from facebench.harness.models import export
from facebench.harness.models.networks import Network
from facebench.harness.records.case import Case
from facebench.harness.records.record import Record, from_json
from facebench.harness.runs.cluster import alike, machines, tasks
from facebench.harness.runs.cluster.alike import Likeness
from facebench.harness.runs.cluster.machines import Machine
from facebench.harness.runs.cluster.timing_machine import TimingMachine
from facebench.harness.runs.runner import (
    Watch,
    at_once,
    elsewhere,
    export_missing,
    here,
    without_network,
)
from facebench.harness.runs.schedule import cores_on_cluster, in_order, waits_for_export
from facebench.harness.storage import remote
from facebench.harness.storage.progress import SILENT

# Machines that a job may take along before it is given up.
_TRIES = 3

# Seconds between two looks at whether anybody still wants the records.
_PATIENCE_S = 1.0


class Cluster:
    """A Ray cluster on whose machines jobs are performed.

    Args:
        address: of the cluster; `auto` is the one that runs on this machine.
        identical: names of machines that are declared so, or `all`; those that show it in a
            calibration case are timed on too.
        say: told which ones do not.

    Raises:
        UnavailableError: there is none, or Ray is not installed.
        BadInputError: a machine has another facebench, or none has a name that `identical` gives.
    """

    def __init__(
        self,
        address: str,
        identical: Sequence[str] = (),
        say: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        machines.connect(address)
        self.ray = machines.import_ray()
        self.machines = machines.alive()
        if not self.machines:
            raise UnavailableError(f"the Ray cluster at {address!r} has no machine with a core")
        asked = [
            (one, machines.place(self.ray, one, tasks.version, 0).remote()) for one in self.machines
        ]
        machines.require_same([(one, self._version(reference)) for one, reference in asked])
        self.timing_machine = TimingMachine(self.ray, self.machines[0])
        self._alike = machines.named(self.machines, identical)
        self._say = say
        self._lost: set[str] = set()

    @property
    def home(self) -> Machine:
        """Return the machine that is timed on."""
        return self.timing_machine.machine

    def __str__(self) -> str:
        count, cores = len(self.machines), sum(machine.cores for machine in self.machines)
        where = f"{self.home.name} alone"
        if others := [one.name for one in self._neighbours()]:
            where = f"{self.home.name} and, where they are as fast, {', '.join(others)}"
        return f"{count} machines, {cores} cores; times are taken on {where}"

    def placed(self, jobs: Sequence[Job], known: Sequence[Record]) -> list[Job]:
        """Return the jobs with the fingerprints that they have where they are to run.

        Timed ones go to the machine whose times `known` holds already, or to this one where
        it is of the cluster, or to the first by name.
        """
        self.timing_machine = TimingMachine(self.ray, self._choose(known))
        return self._settled(jobs)

    def obtain(self, jobs: Sequence[Job], watch: Watch) -> Iterator[Record]:
        """Yield a record for each job, as it comes."""
        ordered = in_order(jobs)
        remote = [job for job in ordered if runs_elsewhere(job)]
        timed = [job for job in ordered if timed_here(job)]
        others = [job for job in ordered if not runs_elsewhere(job) and not timed_here(job)]
        if timed and len(self.machines) > 1:
            # Where it is lost already, the first of what is timed there finds that out.
            with suppress(LostError):
                self.timing_machine.reserve()
        networks = dict.fromkeys(job.network for job in ordered)
        exports = {network: _Exporting() for network in networks}
        streams = [self._anywhere(others, exports), self._timing(timed, watch, exports)]
        streams += [self._boards(remote, watch, exports)]
        yield from at_once(streams)

    def _anywhere(
        self, jobs: Sequence[Job], exports: dict[Network, _Exporting]
    ) -> Iterator[Record]:
        """Yield what is not timed; jobs of a network wait until it is exported, once."""
        wanted = {job.network: job for job in jobs if job.case.measure == "export"}
        first = [
            _Task(job, job.case.measure == "export") for job in jobs if not waits_for_export(job)
        ]
        for network, done in exports.items():
            if network in wanted:
                continue
            if export.find(network) is None:
                first.append(_Task(_export_of(network), exports=True, told=False))
            else:
                done.over.set()
        waiting = [_Task(job) for job in jobs if waits_for_export(job)]
        pending: dict[Any, _Task] = {self._submit(task): task for task in first}
        while pending or waiting:
            held = []
            for task in waiting:
                export_of = exports[task.job.network]
                if not export_of.over.is_set():
                    held.append(task)
                elif export_of.failed:
                    yield without_network(task.job, export_of.record)
                else:
                    pending |= {self._submit(one): one for one in self._shared(task)}
            waiting = held
            done, _ = self.ray.wait(list(pending), num_returns=1, timeout=_PATIENCE_S)
            for reference in done:
                task = pending.pop(reference)
                record = self._record(reference, task)
                if record is None:
                    pending[self._submit(task)] = task
                    continue
                if task.shard_of and task.shard_of.over_with_one():
                    pending[self._submit(task.shard_of)] = task.shard_of
                if task.exports:
                    exports[task.job.network].end(record)
                if task.told:
                    yield record

    def _timing(
        self, jobs: Sequence[Job], watch: Watch, exports: dict[Network, _Exporting]
    ) -> Iterator[Record]:
        """Yield what is timed, on machines that have nothing else of ours to do meanwhile."""
        waiting = []
        for job in jobs:
            if exports[job.network].succeeds():
                waiting.append(job)
            else:
                yield without_network(job, exports[job.network].record)
        try:
            neighbours = self._shown_alike(waiting) if waiting else []
            if neighbours:
                # Processes of one case are of one machine.
                for job in waiting:
                    watch.parts.forget(job)
            left: list[Job] = []
            count = len(neighbours) + 1
            streams = [self._until_done(waiting[::count], watch)]
            streams += [
                self._beside(timing_machine, likeness, waiting[number::count], watch, left)
                for number, (timing_machine, likeness) in enumerate(neighbours, start=1)
            ]
            yield from at_once(streams)
            yield from self._until_done(left, watch)
        finally:
            self.timing_machine.release()

    def _until_done(self, waiting: list[Job], watch: Watch) -> Iterator[Record]:
        """Records of timed jobs; where their machine is lost, of the rest on another."""
        while waiting:
            try:
                for record in watch.rounds(waiting, execute=self.timing_machine.perform):
                    waiting = [job for job in waiting if job.case.key != record.case.key]
                    yield record
            except LostError as error:
                # Processes on the machine that is gone can't be of one case with others.
                for job in waiting:
                    watch.parts.forget(job)
                waiting = self._moved(waiting, error)

    def _beside(
        self,
        timing_machine: TimingMachine,
        likeness: Likeness,
        waiting: list[Job],
        watch: Watch,
        left: list[Job],
    ) -> Iterator[Record]:
        """Records of jobs that a machine times that is like home; where it is lost, the rest."""
        try:
            for record in watch.rounds(waiting, execute=timing_machine.perform):
                waiting = [job for job in waiting if job.case.key != record.case.key]
                yield alike.told(record, likeness)
        except LostError as error:
            self._say(f"{error}: {self.home.name} times what it had")
            for job in waiting:
                watch.parts.forget(job)
            left += waiting
        finally:
            timing_machine.release()

    def _neighbours(self) -> list[Machine]:
        """Return the machines that are declared to be like home."""
        among = self._alike if self.home in self._alike else []
        return [one for one in among if one != self.home and one.node not in self._lost]

    def _shown_alike(self, jobs: Sequence[Job]) -> list[tuple[TimingMachine, Likeness]]:
        """Return those of them that have shown it: reserved, each with its likeness."""
        timing_machines = [TimingMachine(self.ray, machine) for machine in self._neighbours()]
        if not timing_machines:
            return []
        calibration = alike.job()
        found = []
        with ThreadPoolExecutor(len(timing_machines) + 1) as pool:
            home = pool.submit(alike.medians, self.timing_machine.perform, calibration)
            asked = [
                (one, pool.submit(self._calibrated, one, jobs, calibration))
                for one in timing_machines
            ]
        for timing_machine, times in asked:
            try:
                likeness = alike.compared(
                    timing_machine.machine.name, times.result(), self.home.name, home.result()
                )
                reason = "" if likeness.alike else str(likeness)
            except (LostError, UnavailableError) as error:
                reason = f"{timing_machine.machine.name}: {error}"
            if reason:
                self._say(f"{reason}: it is not timed on")
                timing_machine.release()
            else:
                found.append((timing_machine, likeness))
        return found

    def _calibrated(
        self, timing_machine: TimingMachine, jobs: Sequence[Job], calibration: Job
    ) -> list[float]:
        there = self._fingerprints(timing_machine.machine, jobs)
        if there != [job.fingerprint for job in jobs]:
            raise UnavailableError("its CPU or what it has installed is another")
        return alike.medians(timing_machine.perform, calibration)

    def _moved(self, jobs: Sequence[Job], error: LostError) -> list[Job]:
        """Timed jobs as they are on another machine, now that theirs is lost.

        Raises:
            UnavailableError: too many were lost, or none is left.
        """
        self.timing_machine.release()
        self._lost.add(self.home.node)
        if len(self._lost) >= _TRIES:
            raise UnavailableError(
                f"{error}, as others before: look at the machines, then run the same command again"
            ) from error
        # Ray takes a while to notice.
        self.machines = [one for one in machines.alive() if one.node not in self._lost]
        self.timing_machine = TimingMachine(self.ray, self._choose([]))
        return self._settled(jobs)

    def _settled(self, jobs: Sequence[Job]) -> list[Job]:
        """Return the jobs as they are at home, or where that is lost, as on the next machine."""
        try:
            return self._at_home(jobs)
        except self.ray.exceptions.RayTaskError as error:
            raise BadInputError(f"{self.home.name}: {machines.why(error)}") from error
        except self.ray.exceptions.RayError:
            return self._moved(jobs, LostError(f"the machine {self.home.name} was lost"))

    def _boards(
        self, jobs: Sequence[Job], watch: Watch, exports: dict[Network, _Exporting]
    ) -> Iterator[Record]:
        """Yield what runs on boards, from the machine that has the board as a resource, or from
        here.
        """
        lending = {name for machine in self.machines for name in machine.resources}
        ready = []
        for job in jobs:
            if exports[job.network].succeeds():
                ready.append(job)
            else:
                yield without_network(job, exports[job.network].record)
        export_missing([job for job in ready if job.case.device not in lending])
        from_here = here(SILENT)

        def execute(job: Job) -> Record:
            if job.case.device in lending:
                return self._beside_its_board(job)
            found = export.find(job.network)
            return from_here(replace(job, exported=found.folder if found else None))

        yield from elsewhere(ready, watch.rounds, execute)

    def _beside_its_board(self, job: Job) -> Record:
        perform = self.ray.remote(tasks.perform).options(
            num_cpus=1, resources={job.case.device: 1}, max_retries=_TRIES
        )
        try:
            return from_json(self.ray.get(perform.remote(job.to_json())))
        except self.ray.exceptions.RayError as error:
            return failed(job, machines.why(error))

    def _shared(self, task: _Task) -> list[_Task]:
        """Return the tasks that prepare shards of a task, where machines can share it; or itself.

        What a shard leaves behind must be within reach of the others: in the shared store.
        """
        job = task.job
        sharding = MEASURES[job.case.measure].sharding
        if sharding is None or not remote.serves("embeddings"):
            return [task]
        places = sum(machine.cores // job.case.threads for machine in self.machines)
        try:
            shards = min(places, sharding.shards(job))
        except FacebenchError:
            # The job itself will tell.
            return [task]
        if shards < 2:
            return [task]
        task.job, task.shards_left = replace(job, shards=shards), shards
        return [
            _Task(replace(task.job, shard=shard), told=False, shard_of=task)
            for shard in range(shards)
        ]

    def _submit(self, task: _Task) -> Any:
        """Start a task wherever there are cores; the reference to its record."""
        cores = cores_on_cluster(task.job, max(machine.cores for machine in self.machines))
        perform = self.ray.remote(tasks.perform).options(num_cpus=cores, max_retries=0)
        task.tries += 1
        return perform.remote(replace(task.job, exported=None).to_json())

    def _record(self, reference: Any, task: _Task) -> Record | None:
        """Return a task's record; None where its machine was lost and another may do it."""
        try:
            return from_json(self.ray.get(reference))
        except self.ray.exceptions.RayTaskError as error:
            return failed(task.job, machines.why(error))
        except self.ray.exceptions.RayError as error:
            return None if task.tries < _TRIES else failed(task.job, machines.why(error))

    def _version(self, reference: Any) -> str:
        """Return what a machine says is its version; empty where it has no facebench."""
        try:
            return str(self.ray.get(reference))
        except self.ray.exceptions.RayError:
            return ""

    def _at_home(self, jobs: Sequence[Job]) -> list[Job]:
        timed = [job for job in jobs if timed_here(job)]
        if not timed:
            return list(jobs)
        found = self._fingerprints(self.home, timed)
        keys = [job.case.key for job in timed]
        there = dict(zip(keys, found, strict=True))
        return [replace(job, fingerprint=there.get(job.case.key, job.fingerprint)) for job in jobs]

    def _fingerprints(self, machine: Machine, jobs: Sequence[Job]) -> list[str]:
        asked = machines.place(self.ray, machine, tasks.fingerprints, 0)
        found: list[str] = self.ray.get(asked.remote([job.to_json() for job in jobs]))
        return found

    def _choose(self, known: Sequence[Record]) -> Machine:
        if not self.machines:
            raise UnavailableError("no machine of the cluster is left")
        hosts = {
            record.environment.get("host")
            for record in known
            if MEASURES[record.case.measure].timed and record.case.device == "local"
        }
        here = self.ray.get_runtime_context().get_node_id()
        by_name = [machine for machine in self.machines if machine.name in hosts]
        by_place = [machine for machine in self.machines if machine.node == here]
        return [*by_name, *by_place, *self.machines][0]


class _Exporting:
    """A network's export: whether it is over, and how it ended."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.record: Record | None = None

    @property
    def failed(self) -> bool:
        """Return whether it is known to have failed."""
        return self.record is not None and self.record.status != "ok"

    def end(self, record: Record) -> None:
        """End it with this record."""
        self.record = record
        self.over.set()

    def succeeds(self) -> bool:
        """Wait until it is over; whether there is a network then."""
        self.over.wait()
        return not self.failed


@dataclass(eq=False)
class _Task:
    """It is a job on its way.

    Attributes:
        exports: whether others wait for what it makes.
        told: whether its record was asked for.
        shard_of: the task that it prepares a shard of.
        shards_left: shards of its own that are not over. One that failed is no reason to stop:
            the task makes what it does not find.
        tries: how often it was started.
    """

    job: Job
    exports: bool = False
    told: bool = True
    shard_of: _Task | None = None
    shards_left: int = 0
    tries: int = 0

    def over_with_one(self) -> bool:
        """Note that one of its shards is over, and say whether it was the last."""
        self.shards_left -= 1
        return not self.shards_left


def _export_of(network: Network) -> Job:
    return Job(Case("export", network.name, network.weights), network)
