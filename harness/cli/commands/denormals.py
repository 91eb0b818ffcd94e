"""The command on denormal numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import click

from facebench.harness.cli import options
from facebench.harness.cli.commands.running import raise_failures, run_jobs
from facebench.harness.cli.output import console, denormals_table
from facebench.harness.comparison.denormals_effect import effects
from facebench.harness.machine.flushing import FLUSHED, KEPT
from facebench.harness.measures.job import Job
from facebench.harness.models.networks import Network
from facebench.harness.records.case import Case
from facebench.harness.runs import jobs
from facebench.harness.runtimes.registry import RUNTIMES
from facebench.harness.timing.sampler import Budget


@click.command()
@options.networks
@options.weights
@click.option(
    "--runtime", metavar="R[,R]", help="Time it there with denormal numbers kept, and flushed."
)
@options.threads
@options.sampling
@options.as_json
def denormals(
    networks: tuple[str, ...],
    runtime: str | None,
    threads: int,
    sampling_s: float | None,
    processes: int | None,
    known_to: float | None,
    pin: bool | None,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Count denormal numbers in weights and layers, and measure what they cost.

    Kernels can be several times slower on numbers below 2**-126. With --runtime each network
    is timed with denormal numbers kept and flushed to zero, in processes that take turns.

    \b
    facebench denormals mobilefacenet --weights mobilefacenet=trained.pth
    facebench denormals onnx:my.onnx --runtime onnxruntime,ncnn
    """
    sampling = options.given(sampling_s=sampling_s, processes=processes, known_to=known_to, pin=pin)
    budget = replace(jobs.BUDGET, **sampling)
    found = options.resolve_networks(networks, **chosen)
    wanted = [Job(Case("denormals", n.name, n.weights), n) for n in found]
    for network in found:
        for name in options.comma_list(runtime or ""):
            wanted += _both_ways(network, name, threads, budget)
    records = run_jobs(wanted)
    gained = effects(records)
    if as_json:
        flat = [console.flat(record) for record in records]
        console.as_json({"records": flat, "effects": [asdict(one) for one in gained]})
    else:
        denormals_table.counts(records)
        denormals_table.effects(gained)
    raise_failures(records)


def _both_ways(network: Network, runtime: str, threads: int, budget: Budget) -> Sequence[Job]:
    RUNTIMES[runtime].require()
    RUNTIMES[runtime].require_flushing()
    job = jobs.latency_job(network, runtime, threads, budget=budget)
    return [replace(job, case=replace(job.case, denormals=mode)) for mode in (KEPT, FLUSHED)]
