"""Commands on whole runs: list, run, report."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from architectures.errors import BadInputError
from harness import catalogue, eviction, options, runner, show
from harness import plan as plans
from harness.cluster.engine import Cluster
from harness.emulation import setup
from harness.networks import SHIPPED
from harness.record import Record
from harness.store import RECORDS, Store

DEFAULT_OUT = Path("reports/out")


@click.command("list")
@click.argument(
    "kind",
    type=click.Choice(["architectures", "runtimes", "targets", "devices", "cores", "datasets"]),
    required=False,
)
@options.data
@options.as_json
def list_(kind: str | None, data: Path | None, as_json: bool) -> None:
    """List what there is to choose from.

    \b
    facebench list
    facebench list runtimes --json
    """
    found = catalogue.entries(kind, data)
    if as_json:
        show.as_json(found[kind] if kind else found)
    else:
        show.catalogue(found)


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
@options.sampling
@options.as_json
def run(
    plan: str,
    out: Path,
    data: Path | None,
    weights: tuple[str, ...],
    device: tuple[str, ...],
    cluster: str | None,
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
    """
    from reports.render import render  # the one place where the two meet, and matplotlib is slow
    from reports.terminal import summary

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
        show.err.print(f"no emulated ARM figures: {missing}", markup=False, soft_wrap=True)
    jobs = plans.jobs(wanted, data)
    store = Store(out / RECORDS)
    aside = store.mend()
    if aside is not None:
        show.err.print(f"a record that was cut off is set aside in {aside}; its case runs again")
    obtain = None
    if cluster is not None:
        spread = Cluster(cluster)
        jobs = spread.placed(jobs, store.read())
        obtain = spread.obtain
        show.err.print(str(spread), markup=False, soft_wrap=True)
    with show.RunProgress(len(jobs)) as progress:
        records = runner.run(
            jobs, store, progress.listen, progress.within, progress.listen_to_parts, obtain
        )
    files = render(records, out)
    eviction.prune(leave)
    if as_json:
        show.as_json([show.flat(record) for record in records])
    else:
        show.out.print(summary(records))
        show.out.print(f"report: {files[0]}", soft_wrap=True)
    show.warn([record for record in records if record.status == "failed"])
    if any(record.status == "failed" for record in records):
        sys.exit(1)


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
    from reports.render import render, render_one

    records = records_of(results or default_results())
    if only:
        files = [render_one(records, what, form, size, out) for what in only]
    else:
        files = render(records, out)
    if as_json:
        show.as_json([str(path) for path in files])
    else:
        show.out.print("\n".join(map(str, files)), markup=False, soft_wrap=True)


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
