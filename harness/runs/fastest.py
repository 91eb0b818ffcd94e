"""Finds the runtime and batch that embed a network's images fastest here."""

from __future__ import annotations

from facebench.harness.models.networks import Network
from facebench.harness.records.record import Record
from facebench.harness.records.store import Store
from facebench.harness.records.throughput import Throughput
from facebench.harness.runs import jobs, runner
from facebench.harness.runs.rounds import RunListener
from facebench.harness.runtimes.registry import RUNTIMES, Runtime, installed
from facebench.harness.storage import cache
from facebench.harness.timing.sampler import Budget

FASTEST = "fastest"

_BATCHES = (1, 8)
_SAMPLING_S = 1.0


def find_fastest(
    network: Network, how: jobs.Precision, threads: int, listener: RunListener
) -> Record:
    """Return the record of the highest throughput: its case has the runtime and the batch.

    Where no runtime runs the network, the record is of one that did not, with the reason.

    Every installed runtime that runs the precision is tried, once: what was
    found is kept in the cache until the machine, a version or the network changes.

    Args:
        network: what is to be embedded with.
        how: the case's precision.
        threads: sessions that work side by side.
        listener: told of each trial.
    """
    wanted = [
        jobs.with_fingerprint(
            jobs.throughput_job(network, name, threads, batch, how, Budget(0, _SAMPLING_S))
        )
        for name in installed()
        if _runs(RUNTIMES[name], network, how.given(network).name)
        for batch in _BATCHES
        if batch == 1 or RUNTIMES[name].batches
    ]
    store = Store(cache.root() / "throughput.jsonl")
    store.mend()
    return max(runner.run(wanted, store, listener), key=_rate)


def _runs(runtime: Runtime, network: Network, precision: str) -> bool:
    return precision in runtime.precisions_on("host") or runtime.runs_as_it_is(network, precision)


def _rate(record: Record) -> float:
    return record.result.images_per_second if isinstance(record.result, Throughput) else 0.0
