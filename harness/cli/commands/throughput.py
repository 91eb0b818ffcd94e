"""The command that measures images a second against batch and threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import click

from facebench.architectures.errors import BadInputError
from facebench.harness.cli import options
from facebench.harness.cli.commands.running import raise_failures, run_jobs
from facebench.harness.cli.output import console, start
from facebench.harness.runs import jobs
from facebench.harness.runtimes.registry import RUNTIMES, installed
from facebench.harness.verification.datasets.registry import data_root

_MOST = 1024


def _numbers(context: click.Context, parameter: click.Parameter, text: str) -> Sequence[int]:
    numbers = options.comma_list(text)
    if not numbers or not all(one.isdecimal() and 1 <= int(one) <= _MOST for one in numbers):
        raise BadInputError(
            f"--{parameter.name} {text!r} will not do: give whole numbers from 1 to {_MOST}, "
            "with commas"
        )
    return list(dict.fromkeys(map(int, numbers)))


@click.command()
@options.networks
@options.weights
@click.option("--runtime", metavar="R[,R]", help="Default: all that are installed.")
@options.precision
@click.option(
    "--batch", default="1,4,16", show_default=True, metavar="N[,N]", callback=_numbers,
    help="Images in one inference.",
)  # fmt: skip
@click.option(
    "--threads", default="1", show_default=True, metavar="N[,N]", callback=_numbers,
    help="Sessions that work side by side, each of one thread.",
)  # fmt: skip
@click.option(
    "--seconds", "sampling_s", type=click.FloatRange(0, 3600, min_open=True), metavar="S",
    default=jobs.BUDGET.sampling_s, show_default=True, help="Seconds of windows for each case.",
)  # fmt: skip
@click.option("--no-pin", "pin", flag_value=False, default=True, help="As in 'latency'.")
@options.data
@options.as_json
def throughput(
    networks: tuple[str, ...],
    runtime: str | None,
    precision: str,
    calibration: str,
    batch: Sequence[int],
    threads: Sequence[int],
    sampling_s: float,
    pin: bool,
    data: Path | None,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Measure images a second on this machine, against batch and threads.

    Each thread has a session of its own, as for embedding a large dataset. A runtime
    that infers one image at a time is refused a larger batch.

    \b
    facebench throughput mobilefacenet --batch 1,4,16 --threads 1,2
    facebench throughput mobilefacenet mobilenet_v2 --runtime onnxruntime --precision int8
    """
    resolved = options.resolve_networks(networks, **chosen)
    precisions = options.precisions(precision, calibration)
    runtimes = options.comma_list(runtime) if runtime else installed()
    for name, how in product(runtimes, precisions):
        RUNTIMES[name].require(how.name)
    budget = replace(jobs.BUDGET, sampling_s=sampling_s, pin=pin)
    wanted = [
        replace(jobs.throughput_job(network, name, count, size, how, budget), data=data_root(data))
        for network, name, how, count, size in product(
            resolved, runtimes, precisions, threads, batch
        )
    ]
    records = run_jobs(wanted)
    if as_json:
        console.as_json([console.flat(record) for record in records])
    else:
        console.out.print(start.throughputs(records))
    raise_failures([record for record in records if record.status != "refused"])
