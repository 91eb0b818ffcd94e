"""The command that counts instructions."""

from __future__ import annotations

from collections.abc import Sequence

import click

from facebench.harness.cli import case_options, options
from facebench.harness.cli.commands.running import raise_failures, run_jobs
from facebench.harness.cli.output import console, terminal
from facebench.harness.models.networks import Network
from facebench.harness.runs.requests import InstructionsRequest


@click.command()
@case_options.networks
@click.option("--runtime", required=True, metavar="R[,R]", help="See 'facebench list runtimes'.")
@options.device
@options.target
@options.as_json
def instructions(
    networks: Sequence[Network], runtime: str, device: str, target: str, as_json: bool
) -> None:
    """Count the instructions of one inference: a second opinion that noise cannot touch.

    On this machine by the processor's own counter, where the kernel lends it; or on an
    emulated core, exactly.

    \b
    facebench instructions mobilefacenet mobilenet_v2 --runtime onnxruntime
    facebench instructions mobilefacenet --runtime ncnn --device local,emulated:cortex-a72
    """
    runtimes, devices = options.comma_list(runtime), options.comma_list(device)
    records = run_jobs(InstructionsRequest(networks, runtimes, devices, target).jobs())
    if as_json:
        terminal.as_json([console.flat(record) for record in records])
    elif any(record.status == "ok" for record in records):
        console.timings(records)
    raise_failures(records)
