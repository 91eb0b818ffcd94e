"""Offers the command on denormal numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import click

from facebench.harness.cli import case_options, options
from facebench.harness.cli.commands.running import raise_failures, run_jobs
from facebench.harness.cli.output import console, denormals_table, terminal
from facebench.harness.comparison.denormals_effect import effects
from facebench.harness.models.networks import Network
from facebench.harness.runs.jobs import Sampling
from facebench.harness.runs.requests import DenormalsRequest


@click.command()
@case_options.networks
@click.option(
    "--runtime", metavar="R[,R]", help="Time it there with denormal numbers kept, and flushed."
)
@options.threads
@case_options.sampling
@options.as_json
def denormals(
    networks: Sequence[Network],
    runtime: str | None,
    threads: int,
    sampling: Sampling,
    as_json: bool,
) -> None:
    """Count denormal numbers in weights and layers, and measure what they cost.

    Kernels can be several times slower on numbers below 2**-126. With --runtime each network
    is timed with denormal numbers kept and flushed to zero, in processes that take turns.

    \b
    facebench denormals mobilefacenet --weights mobilefacenet=trained.pth
    facebench denormals onnx:my.onnx --runtime onnxruntime,ncnn
    """
    runtimes = options.comma_list(runtime or "")
    records = run_jobs(DenormalsRequest(networks, runtimes, threads, sampling).jobs())
    gained = effects(records)
    if as_json:
        flat = [console.flat(record) for record in records]
        terminal.as_json({"records": flat, "effects": [asdict(one) for one in gained]})
    else:
        denormals_table.counts(records)
        denormals_table.effects(gained)
    raise_failures(records)
