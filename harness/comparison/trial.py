"""A network on trial: what it costs and how fast it is, beside one that is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from facebench.harness.comparison import extract
from facebench.harness.comparison.compare import Side, compare
from facebench.harness.comparison.interleaved.prepared_case import prepare
from facebench.harness.comparison.interleaved.python_environment import PythonEnvironment
from facebench.harness.comparison.interleaved.turns import Turns, measure
from facebench.harness.comparison.verdict import Comparison, Policy
from facebench.harness.measures.job import Job
from facebench.harness.measures.layers import LAYERS_IN
from facebench.harness.models.networks import Network
from facebench.harness.records.case import Case
from facebench.harness.records.record import Record
from facebench.harness.runs import jobs
from facebench.harness.runs.jobs import with_fingerprint
from facebench.harness.storage.progress import Progress, ProgressStep


@dataclass(frozen=True)
class TrialQuestion:
    """It says what is on trial, and where.

    Attributes:
        known: the network that others are held against.
        networks: those on trial.
        runtimes: that both are timed in.
        cores: emulated ones, for which instructions are counted and cycles modelled.
        threads: of a session.
    """

    known: Network
    networks: Sequence[Network]
    runtimes: Sequence[str]
    cores: Sequence[str]
    threads: int = 1

    @property
    def all(self) -> list[Network]:
        """Return all networks of the trial, the known one first."""
        return [self.known, *self.networks]

    def exact(self) -> list[Job]:
        """Return what needs no turns: costs, sizes, layers, and counts on emulated cores."""
        wanted = []
        for network in self.all:
            base = Case("cost", network.name, network.weights)
            layers = replace(base, measure="layers", runtime=LAYERS_IN)
            cases = (base, replace(base, measure="export"), layers)
            wanted += [Job(case, network) for case in cases]
            for core in self.cores:
                for runtime in ("ncnn", "tvm"):
                    timed = jobs.latency_job(network, runtime, 1, device=f"emulated:{core}")
                    wanted += jobs.device_jobs(timed)
        return [with_fingerprint(job) for job in wanted]

    def timed(self, budget: Turns, progress: Progress) -> list[Record]:
        """Return latencies, all networks in turns, one runtime after the other.

        Args:
            budget: of each runtime.
            progress: told of the rounds that are done, a step a runtime.
        """
        records = []
        for runtime in self.runtimes:
            turns = ProgressStep(progress, f"in turns: {runtime}")
            turns.at(0, budget.processes)
            wanted = [
                with_fingerprint(jobs.latency_job(network, runtime, self.threads))
                for network in self.all
            ]
            prepared = [
                prepare(PythonEnvironment(job.network.name), job.to_json()) for job in wanted
            ]
            records += measure(prepared, budget, turns)
        return records


def against(
    known: Network, network: Network, records: Sequence[Record], policy: Policy | None = None
) -> Comparison:
    """Return a network held against the known one, figure by figure."""

    def side(one: Network) -> Side:
        entries = extract.entries([r for r in records if r.case.network == one.name])
        alike = [
            replace(e, case=replace(e.case, network=network.name, weights=network.weights))
            for e in entries
        ]
        return Side(one.name, tuple(alike))

    return compare(side(known), side(network), policy)
