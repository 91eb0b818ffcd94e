"""The command that counts instructions."""

from __future__ import annotations

from itertools import product
from typing import Any

import click

from facebench.harness.cli import options
from facebench.harness.cli.commands.running import raise_failures, run_jobs
from facebench.harness.cli.output import console
from facebench.harness.runs import jobs
from facebench.harness.runtimes.registry import RUNTIMES


@click.command()
@options.networks
@options.weights
@click.option("--runtime", required=True, metavar="R[,R]", help="See 'facebench list runtimes'.")
@options.device
@options.target
@options.as_json
def instructions(
    networks: tuple[str, ...],
    runtime: str,
    device: str,
    target: str,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Count the instructions of one inference: a second opinion that noise cannot touch.

    On this machine by the processor's own counter, where the kernel lends it; or on an
    emulated core, exactly.

    \b
    facebench instructions mobilefacenet mobilenet_v2 --runtime onnxruntime
    facebench instructions mobilefacenet --runtime ncnn --device local,emulated:cortex-a72
    """
    resolved = options.resolve_networks(networks, **chosen)
    names = options.comma_list(runtime)
    for name in names:
        RUNTIMES[name].require()
    records = run_jobs(
        [
            jobs.instructions_job(network, name, place, target)
            for place, network, name in product(options.comma_list(device), resolved, names)
        ]
    )
    if as_json:
        console.as_json([console.flat(record) for record in records])
    elif any(record.status == "ok" for record in records):
        console.timings(records)
    raise_failures(records)
