"""The command that measures images a second against batch and threads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from facebench.architectures.errors import BadInputError
from facebench.harness.cli import case_options, options
from facebench.harness.cli.commands.running import raise_failures, run_jobs
from facebench.harness.cli.output import console, start, terminal
from facebench.harness.models.networks import Network
from facebench.harness.runs.jobs import BUDGET, Precision, Sampling
from facebench.harness.runs.requests import ThroughputRequest

_MOST = 1024


def _numbers(context: click.Context, parameter: click.Parameter, text: str) -> Sequence[int]:
    numbers = options.comma_list(text)
    if not numbers or not all(one.isdecimal() and 1 <= int(one) <= _MOST for one in numbers):
        raise BadInputError(
            f"--{parameter.name} {text!r} is not valid: give whole numbers from 1 to {_MOST}, "
            "with commas"
        )
    return list(dict.fromkeys(map(int, numbers)))


@click.command()
@case_options.networks
@click.option("--runtime", metavar="R[,R]", help="Default: all, that is all that are installed.")
@case_options.precisions
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
    default=BUDGET.sampling_s, show_default=True, help="Seconds of windows for each case.",
)  # fmt: skip
@click.option("--no-pin", "pin", flag_value=False, default=True, help="As in 'latency'.")
@options.data
@options.as_json
def throughput(
    networks: Sequence[Network],
    runtime: str | None,
    precisions: Sequence[Precision],
    threads: Sequence[int],
    batch: Sequence[int],
    data: Path | None,
    sampling_s: float,
    pin: bool,
    as_json: bool,
) -> None:
    """Measure images a second on this machine, against batch and threads.

    Each thread has a session of its own, as for embedding a large dataset. A runtime
    that infers one image at a time is refused a larger batch.

    \b
    facebench throughput mobilefacenet --batch 1,4,16 --threads 1,2
    facebench throughput mobilefacenet mobilenet_v2 --runtime onnxruntime --precision int8
    """
    runtimes = options.runtimes(runtime)
    sampling = Sampling(sampling_s, pin=pin)
    request = ThroughputRequest(networks, runtimes, precisions, threads, batch, data, sampling)
    records = run_jobs(request.jobs())
    if as_json:
        terminal.as_json([console.flat(record) for record in records])
    else:
        terminal.out.print(start.throughputs(records))
    raise_failures([record for record in records if record.status != "refused"])
