"""Commands on whole runs: run, plan, report."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import click

from facebench.architectures.errors import BadInputError
from facebench.harness.cli import options
from facebench.harness.cli.output import console, plan_table
from facebench.harness.devices.emulator import setup
from facebench.harness.models import export
from facebench.harness.models.networks import SHIPPED
from facebench.harness.records.record import Record
from facebench.harness.records.store import RECORDS, Store
from facebench.harness.runs import estimate as estimates
from facebench.harness.runs import plan as plans
from facebench.harness.runs import runner, worker_pool
from facebench.harness.runs.cluster.engine import Cluster
from facebench.harness.storage import eviction

DEFAULT_OUT = Path("reports/out")


@click.command()
@click.argument("plan", default="paper")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, file_okay=False), default=DEFAULT_OUT,
    show_default=True, help="Folder of the records and the report.",
)  # fmt: skip
@options.data
@click.option(
    "--weights", multiple=True, metavar=options.WEIGHTS,
    help="Instead of what the plan says; 'shipped' alone is for all networks that have some.",
)  # fmt: skip
@click.option(
    "--device", multiple=True, metavar="D",
    help="Where latency is measured, instead of what the plan says; may be given again.",
)  # fmt: skip
@click.option(
    "--cluster", metavar="auto|ADDRESS",
    help="Run on a Ray cluster: 'auto' is the one of this machine. Times are all taken on one "
    "machine of it.",
)  # fmt: skip
@click.option(
    "--identical", multiple=True, metavar="HOST",
    help="A machine of the cluster that is like the others so named, or 'all': those that are as "
    "fast in a calibration case are timed on too; may be given again.",
)  # fmt: skip
@options.sampling
@options.as_json
def run(
    plan: str,
    out: Path,
    data: Path | None,
    weights: tuple[str, ...],
    device: tuple[str, ...],
    cluster: str | None,
    identical: tuple[str, ...],
    sampling_s: float | None,
    processes: int | None,
    known_to: float | None,
    pin: bool | None,
    as_json: bool,
) -> None:
    """Run a plan and render its report: the main job.

    PLAN is a TOML file or a built-in plan: paper (the default) or quick. What
    is in the records already is not run again; a run that was interrupted goes
    on where it was. Exit code 1 says that a case failed.

    \b
    facebench run
    facebench run quick --processes 5 --known-to 1%
    facebench run my_plan.toml -o results/mine --data ~/faces
    facebench run quick --device ssh://pi@raspberrypi -o results/pi
    facebench run my_plan.toml --cluster auto -o results/lab
    facebench run my_plan.toml --cluster auto --identical node1 --identical node2
    """
    from facebench.reports.render import (
        render,  # the one place where the two meet, and matplotlib is slow
    )
    from facebench.reports.terminal import summary

    if identical and cluster is None:
        raise BadInputError("--identical names machines of a cluster: give --cluster too")
    leave = eviction.limit()
    wanted = plans.load(plan)
    chosen, otherwise = options.parse_weights(weights)
    wanted = replace(wanted, weights={**wanted.weights, **chosen})
    if otherwise == SHIPPED:
        wanted = replace(wanted, weights_otherwise=SHIPPED)
    sampling = options.given(sampling_s=sampling_s, processes=processes, known_to=known_to, pin=pin)
    wanted = replace(wanted, **sampling)
    if device:
        wanted = replace(wanted, devices=device, emulated=())
    elif wanted.emulated and (missing := setup.ready()):
        console.err.print(f"no emulated ARM figures: {missing}", markup=False, soft_wrap=True)
    jobs = plans.jobs(wanted, data)
    store = Store(out / RECORDS)
    aside = store.mend()
    if aside is not None:
        console.err.print(f"a record that was cut off is set aside in {aside}; its case runs again")
    obtain = None
    if cluster is not None:
        spread = Cluster(cluster, identical, console.err.print)
        jobs = spread.placed(jobs, store.read())
        obtain = spread.obtain
        console.err.print(str(spread), markup=False, soft_wrap=True)
    with console.RunProgress(len(jobs)) as progress:
        records = runner.run(
            jobs, store, progress.listen, progress.within, progress.listen_to_parts, obtain
        )
    files = render(records, out)
    eviction.prune(leave)
    if as_json:
        console.as_json([console.flat(record) for record in records])
    else:
        console.out.print(summary(records))
        console.out.print(f"report: {files[0]}", soft_wrap=True)
    console.warn([record for record in records if record.status == "failed"])
    if any(record.status == "failed" for record in records):
        sys.exit(1)


@click.command("plan")
@click.argument("plan", default="paper")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, file_okay=False), default=DEFAULT_OUT,
    show_default=True, help="Folder of the records: what is in them does not run again.",
)  # fmt: skip
@options.data
@click.option("--estimate", is_flag=True, help="Say how long it takes, here and on a cluster.")
@click.option(
    "--machines", default="1", show_default=True, metavar="N[,N]",
    help="Machines of a cluster, each with as many cores as this one.",
)  # fmt: skip
@click.option(
    "--boards", type=click.IntRange(1, 10_000), metavar="N",
    help="Boards that each remote device lends. Default: as many as it says.",
)  # fmt: skip
@click.option(
    "--from", "others", multiple=True, type=click.Path(path_type=Path), metavar="RESULTS",
    help="More records that tell how long cases take; may be given again.",
)  # fmt: skip
@options.as_json
def plan_(
    plan: str,
    out: Path,
    data: Path | None,
    estimate: bool,
    machines: str,
    boards: int | None,
    others: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Say what a plan holds, what of it is done, and how long the rest takes.

    Times are those of records: of the same case, else of its kind, else of its measure. The
    schedule is simulated; nothing runs.

    \b
    facebench plan paper
    facebench plan paper --estimate --from results/mine
    facebench plan lab.toml --estimate --machines 1,4,16 --boards 100
    """
    counts = _counts(machines)
    jobs = plans.jobs(plans.load(plan), data)
    stored = Store(out / RECORDS).read()
    told = [*(records_of(others) if others else []), *stored]
    times = estimates.Times(told, worker_pool.start_s() if estimate else 0.0)
    expected = [times.expect(job) for job in estimates.waiting(jobs, stored)]
    rows = estimates.rows(jobs, expected)
    cores = len(os.sched_getaffinity(0))
    took = {n: estimates.simulate(expected, n, cores, boards) for n in counts if estimate}
    if as_json:
        console.as_json(
            {"cores": cores, "seconds": took, "measures": [asdict(row) for row in rows]}
        )
        return
    console.out.print(plan_table.holds(rows, estimate))
    networks = dict.fromkeys(job.network for job in jobs)
    kept = sum(export.find(network) is not None for network in networks)
    lines = [f"{kept} of {len(networks)} networks are exported already"]
    for line in [*lines, *plan_table.durations(rows, took, cores)]:
        console.out.print(line, markup=False, soft_wrap=True)


def _counts(text: str) -> list[int]:
    names = options.comma_list(text)
    if not names or not all(name.isdecimal() and 1 <= int(name) <= 10_000 for name in names):
        raise BadInputError(f"--machines {text!r} will not do: give numbers from 1 to 10000")
    return [int(name) for name in names]


@click.command()
@click.argument(
    "results", nargs=-1, type=click.Path(path_type=Path), metavar="[RESULTS]...",
)  # fmt: skip
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, file_okay=False), default=DEFAULT_OUT,
    show_default=True, help="Folder to write to.",
)  # fmt: skip
@click.option(
    "--only", multiple=True, metavar="figure:NAME|table:NAME",
    help="Only this figure, or LaTeX table, for a paper; may be given again.",
)  # fmt: skip
@click.option(
    "--format", "form", type=click.Choice(["pdf", "svg", "png"]), default="pdf",
    show_default=True, help="Of figures that --only names.",
)  # fmt: skip
@click.option(
    "--size", type=click.Choice(["column", "page"]), default="column", show_default=True,
    help="Width of figures that --only names.",
)  # fmt: skip
@options.as_json
def report(
    results: tuple[Path, ...],
    out: Path,
    only: tuple[str, ...],
    form: str,
    size: str,
    as_json: bool,
) -> None:
    """Render a report from results files, anew.

    \b
    facebench report                                 of what 'facebench run' left
    facebench report board.jsonl laptop.jsonl -o both
    facebench report --only figure:pareto --format pdf --size column -o paper
    facebench report --only table:comparison -o paper
    """
    from facebench.reports.render import render, render_one

    records = records_of(results or default_results())
    if only:
        files = [render_one(records, what, form, size, out) for what in only]
    else:
        files = render(records, out)
    if as_json:
        console.as_json([str(path) for path in files])
    else:
        console.out.print("\n".join(map(str, files)), markup=False, soft_wrap=True)


def default_results() -> tuple[Path, ...]:
    """Where 'facebench run' leaves its records."""
    return (DEFAULT_OUT / RECORDS,)


def records_of(paths: Sequence[Path]) -> list[Record]:
    """The records of results files, or of folders that runs left.

    Raises:
        BadInputError: there is no such file, or it holds no records.
    """
    files = [path / RECORDS if path.is_dir() else path for path in paths]
    for path in files:
        if not path.is_file():
            raise BadInputError(f"no results file {path}; 'facebench run' makes one")
    return [record for path in files for record in Store(path).read()]
