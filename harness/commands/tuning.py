"""The command that searches for faster kernels: tune."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from architectures.errors import (
    BadInputError,
    FacebenchError,
    RefusedError,
    UnavailableError,
)
from harness import options, plan, show, show_tuning
from harness.compiler import build, records
from harness.compiler.targets import TARGETS, Target
from harness.export import Exported, export
from harness.networks import Network, resolve

_NO_PLAN = "-"


@click.command()
@click.argument("networks", nargs=-1, metavar="[NETWORK]...")
@options.weights
@click.option("--target", default="", metavar="T[,T]", help="See 'facebench list targets'.")
@click.option(
    "--trials", type=click.IntRange(1, 100_000), default=32, show_default=True,
    help="Ways to block a kernel that are tried, for each workload.",
)  # fmt: skip
@click.option(
    "--device", default="", metavar="D",
    help="Where kernels are tried: local, emulated:CORE, rpc://HOST:PORT, ssh://USER@HOST, "
    "tracker://HOST:PORT/KEY. Default: this machine, or the target's emulated core.",
)  # fmt: skip
@click.option(
    "--missing", is_flag=False, flag_value=_NO_PLAN, metavar="[PLAN]",
    help="Tune only what has no record: of the networks given, or of a plan's.",
)  # fmt: skip
@options.batch
@options.as_json
def tune(
    networks: tuple[str, ...],
    target: str,
    trials: int,
    device: str,
    missing: str | None,
    batch: int,
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
    facebench tune mobilefacenet --target cortex-a76 --device ssh://pi@raspberrypi
    facebench tune --target host --missing paper                  what the plan lacks
    """
    wanted, targets = _asked_for(networks, target, missing, chosen)
    exported = [export(network) for network in wanted]
    build.import_tvm()  # before anything below imports it with torch
    summaries: list[show_tuning.Summary] = []
    failures: list[str] = []
    for one in targets:
        try:
            summary = _tuned(one, device, exported, batch, trials, missing is not None)
        except (RefusedError, UnavailableError) as error:
            failures.append(str(error))
            continue
        summaries.append(summary)
        failures += summary.failures
        if not as_json:
            show.out.print(summary.in_words(), markup=False, soft_wrap=True)
    if as_json:
        show.as_json([summary.to_json() for summary in summaries])
    if failures:
        raise FacebenchError("\nfacebench: ".join(failures))


def _tuned(
    target: Target,
    device: str,
    exported: Sequence[Exported],
    batch: int,
    trials: int,
    missing: bool,
) -> show_tuning.Summary:
    """Tune for one target."""
    from harness.tuning import campaign, places
    from harness.tuning.workloads import workloads

    goal = places.goal(target)
    works = list(dict.fromkeys(w for one in exported for w in workloads(one, batch, goal.vectors)))
    wanted = campaign.left(goal, works, trials, missing)
    how = ""
    found: list[records.Record] = []
    failures: list[str] = []
    if wanted:
        with places.costs(goal, device) as cost:
            how = cost.how
            with show_tuning.TuneProgress(goal.records, len(wanted), trials) as progress:
                found, failures = campaign.run(goal, wanted, cost, trials, progress)
    path = str(records.own_file(goal.records))
    kept = len(works) - len(wanted)
    return show_tuning.Summary(goal.records, path, how, len(works), kept, found, failures)


def _asked_for(
    networks: tuple[str, ...], target: str, missing: str | None, chosen: dict[str, Any]
) -> tuple[list[Network], list[Target]]:
    """Networks and targets, of the command line or of the plan.

    Raises:
        BadInputError: there are none.
    """
    names = options.comma_list(target)
    if missing in (None, _NO_PLAN):
        found = options.resolve_networks(networks, **chosen)
    elif networks:
        raise BadInputError(
            f"--missing {missing} names a plan and there are networks too: give one of them, "
            "or --missing as the last word"
        )
    else:
        assert missing is not None
        of = plan.load(missing)
        found = [resolve(name, of.weights.get(name)) for name in plan.network_names(of)]
        names = names or (TARGETS.names() if of.targets == "all" else list(of.targets))
    if not found:
        raise BadInputError("name a network to tune, or a plan with --missing PLAN")
    if not names:
        raise BadInputError(
            f"say what to tune for with --target, one of {', '.join(TARGETS.names())}"
        )
    return found, [TARGETS[name] for name in names]
