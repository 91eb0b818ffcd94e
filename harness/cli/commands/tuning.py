"""The command that searches for faster kernels: tune."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from facebench.architectures.errors import BadInputError, FacebenchError
from facebench.harness.cli import case_options, options
from facebench.harness.cli.output import terminal
from facebench.harness.cli.output.tuning import TuneProgress
from facebench.harness.models.networks import Network
from facebench.harness.models.precision import PRECISIONS
from facebench.harness.tuning.request import TuningRequest, networks_of_plan, tune_networks
from facebench.harness.tuning.summary import TuningSummary

_NO_PLAN = "-"


@click.command()
@case_options.networks_or_none
@click.option("--target", default="", metavar="T[,T]", help="See 'facebench list targets'.")
@click.option(
    "--trials", type=click.IntRange(1, 100_000), default=32, show_default=True,
    help="Ways to block a kernel that are tried, for each workload.",
)  # fmt: skip
@click.option(
    "--device", default="", metavar="D[,D]",
    help="Where kernels are tried: local, emulated:CORE, rpc://HOST:PORT, ssh://USER@HOST, "
    "tracker://HOST:PORT/KEY; several share the work. Default: this machine, or the target's "
    "emulated core.",
)  # fmt: skip
@click.option(
    "--cluster", metavar="auto|ADDRESS",
    help="Share the work among the machines of a Ray cluster; records are kept here.",
)  # fmt: skip
@click.option(
    "--missing", is_flag=False, flag_value=_NO_PLAN, metavar="[PLAN]",
    help="Tune only what has no record: of the networks given, or of a plan's.",
)  # fmt: skip
@click.option(
    "--precision", type=click.Choice(PRECISIONS), default="fp32", show_default=True,
    help="Of the kernels; records hold for it alone.",
)  # fmt: skip
@options.batch
@options.as_json
def tune(
    networks: Sequence[Network],
    target: str,
    device: str,
    missing: str | None,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Search for the fastest kernels of networks, for every later compile.

    Each convolution, depthwise convolution and pooling is a workload, searched for once
    whatever networks it is in. What is found is kept as soon as it is found; the same
    command goes on where it was. A kernel takes the place of the one scheduled by rule
    where it is faster beside it and computes the same.

    \b
    facebench tune mobilefacenet --target host
    facebench tune mobilefacenet mobilenet_v2 --target x86-64-v3,x86-64-v4 --trials 64
    facebench tune mobilefacenet --target cortex-a72              on the emulated core
    facebench tune mobilefacenet --target cortex-a76 --precision int8
    facebench tune mobilefacenet --target cortex-a76 --device ssh://pi@raspberrypi
    facebench tune mobilefacenet --target cortex-a72 --device rpc://pi1:9090,rpc://pi2:9090
    facebench tune mobilefacenet --target cortex-a72 --cluster auto
    facebench tune --target host --missing paper                  what the plan lacks
    """
    targets = options.comma_list(target)
    if missing not in (None, _NO_PLAN):
        networks, theirs = _of_plan(missing, networks)
        targets = targets or theirs
    request = TuningRequest(
        networks,
        targets,
        devices=options.comma_list(device),
        missing=missing is not None,
        **chosen,
    )
    found = tune_networks(request, TuneProgress, lambda one: None if as_json else _tell(one))
    if as_json:
        terminal.as_json([summary.to_json() for summary in found.summaries])
    if found.failures:
        raise FacebenchError("\nfacebench: ".join(found.failures))


def _of_plan(plan: str, networks: Sequence[Network]) -> tuple[list[Network], list[str]]:
    if networks:
        raise BadInputError(
            f"--missing {plan} names a plan and there are networks too: give one of them, "
            "or --missing as the last word"
        )
    return networks_of_plan(plan)


def _tell(summary: TuningSummary) -> None:
    terminal.out.print(summary.in_words(), markup=False, soft_wrap=True)
